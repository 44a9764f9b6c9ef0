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
	if (navigator.clipboard) {
		for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;
	}
	tick();
}

function tick() {
	const state = at('state');
	if (state.dataset.state !== 'live') return;
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

// A button asks for its route, and then for this page, to show what is there now. Presses wait for each other, so that
// none is lost.
let last = Promise.resolve();

function press(route) {
	last = last.then(async () => {
		const request = code(`GET ${route}`);
		try {
			say(false, request, code('…'));
			const answer = await fetch(route, {cache: 'no-store'});
			say(!answer.ok, request, code(answer.status), code((await answer.text()).trim()));
			const page = await fetch('/', {cache: 'no-store'});
			const html = await page.text();
			show(html);
			others.postMessage(html);
			at('offline').hidden = true;
		} catch {
			say(true, request, code('failed'));
			at('offline').hidden = false;
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
	press(event.target.getAttribute('action'));
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
