'use strict';
const at = id => document.getElementById(id);

// The server says how long the session lives from now on. The clock of the browser does the rest: to ask again would
// keep the session alive.
let ends, ttl, shown;

function begin() {
	const {left, ttl: whole} = at('state').dataset;
	ttl = Number(whole);
	ends = Date.now() + Number(left);
	shown = null;
	at('when').textContent = when();
	if (at('deadline')) at('deadline').textContent = new Date(at('deadline').dateTime).toLocaleString();
	if (navigator.clipboard) {
		for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;
	}
	tick();
}

// when says what "time" is on the clock of the reader.
function when() {
	try {
		const {time} = JSON.parse(at('json').textContent);
		return Number.isInteger(time) ? `time is ${new Date(1000 * time).toLocaleTimeString()} on your clock.` : '';
	} catch {
		return ''; // not known
	}
}

function tick() {
	const state = at('state');
	if (state.dataset.state !== 'live' || state.classList.contains('away')) return;
	const left = Math.max(0, ends - Date.now());
	at('bar').style.transform = `translateX(${100 * Math.min(1, left / ttl) - 100}%)`;
	const seconds = Math.ceil(left / 1000);
	if (seconds === shown) return;
	shown = seconds;
	at('left').textContent = left ? spoken(seconds) : 'expired';
	at('track').setAttribute('aria-valuenow', seconds);
	at('track').setAttribute('aria-valuetext', at('left').textContent);
	state.classList.toggle('low', left < ttl / 4);
	if (!left) {
		state.dataset.state = 'expired';
		say(false, 'The session has expired.');
	}
}

function spoken(seconds) {
	const units = [[Math.floor(seconds / 3600), 'h'], [Math.floor(seconds / 60) % 60, 'min'], [seconds % 60, 's']];
	return units.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}`).join(' ');
}

// ask sends one request, and says what came of it.
async function ask(method, route) {
	const request = code(`${method} ${route}`);
	say(false, request, code('waits'));
	try {
		const answer = await fetch(route, {method, cache: 'no-store'});
		const text = (await answer.text()).trim();
		say(!answer.ok, request, code(answer.status), code(text));
		return {ok: answer.ok, status: answer.status, text};
	} catch (error) {
		say(true, request, code('failed'));
		throw error;
	}
}

// read returns the values of the session, or nothing where they are not to be had.
async function read() {
	const {ok, text} = await ask('GET', '/get');
	return ok ? JSON.parse(text) : null;
}

// begun begins a session before requests run side by side: each of several first requests would begin one of its own.
const begun = async () => at('state').dataset.state === 'live' || (await ask('GET', '/set')).ok;

// What a button does besides asking for its route once.
const acts = {
	async '/count'() {
		const before = await begun() && await read();
		if (!before) return;
		const answers = await Promise.all(Array.from({length: 20}, () => ask('POST', '/count')));
		const after = await read();
		if (!after) return;
		const kept = answers.filter(answer => answer.ok).length;
		const [from, to] = [before.count ?? 0, after.count ?? 0];
		say(to - from !== 20, code('20 × POST /count'), `${kept} answers are 200. The count went from ${from} to ${to}.`);
	},
	async '/slow'() {
		if (!await begun()) return;
		const slow = ask('POST', '/slow');
		slow.catch(() => {}); // where Del fails first
		await new Promise(done => setTimeout(done, 700));
		await ask('GET', '/del');
		const {text} = await slow;
		const after = await read();
		if (after) say('time' in after, code('POST /slow'), `Del came while it ran. It says: ${text}. Get finds ${JSON.stringify(after)}.`);
	},
};

// A button does its requests, and then asks for this page, to show what is there now. Presses wait for each other, so
// that none is lost.
let last = Promise.resolve();

function press(method, route) {
	last = last.then(async () => {
		try {
			await (acts[route]?.() ?? ask(method, route));
			const page = await fetch('/', {cache: 'no-store'});
			const html = await page.text();
			show(html);
			others.postMessage(html);
			at('offline').hidden = true;
		} catch {
			at('offline').hidden = false;
			at('state').classList.add('away');
			at('left').textContent = 'unknown';
		}
	});
}

function show(html) {
	const next = new DOMParser().parseFromString(html, 'text/html').getElementById('state');
	if (!next) throw new Error('not this page'); // a proxy's error page, for instance
	const stops = () => [...at('state').querySelectorAll('pre, button')];
	const focused = stops().indexOf(document.activeElement);
	at('state').replaceWith(next);
	begin();
	stops()[focused]?.focus({preventScroll: true});
}

function code(text) {
	const element = document.createElement('code');
	element.textContent = text;
	return element;
}

function say(failed, ...parts) {
	at('said').replaceChildren(...parts);
	at('said').classList.toggle('failed', failed);
}

// Tabs share the session: what one of them learns is shown by all.
const others = new BroadcastChannel('session');
others.onmessage = message => show(message.data);

document.addEventListener('submit', event => {
	event.preventDefault();
	const form = event.target;
	press(form.method.toUpperCase(), form.getAttribute('action'));
});
document.addEventListener('click', async event => {
	const button = event.target.closest('[data-copy]');
	if (!button) return;
	const command = button.previousElementSibling;
	try {
		await navigator.clipboard.writeText(command.textContent);
		button.textContent = 'Copied';
	} catch {
		getSelection().selectAllChildren(command);
		button.textContent = 'Selected';
	}
	setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

others.postMessage(document.documentElement.outerHTML);
begin();
setInterval(tick, 100);
