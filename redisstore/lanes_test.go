package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// A line is what runs the batches of lanes in these tests: it holds each until the test lets it go, and keeps what it
// saw.
type line struct {
	mu      sync.Mutex
	batches [][]string // the keys of each batch, in order
	arrived chan struct{}
	release chan struct{}
	reply   []byte
}

func newLine() *line {
	return &line{arrived: make(chan struct{}, 1000), release: make(chan struct{}, 1000), reply: []byte("x")}
}

func (l *line) run(_ context.Context, calls batch) {
	var keys []string
	for _, c := range calls {
		keys = append(keys, c.commands[0].Args[0].(string))
	}
	l.mu.Lock()
	l.batches = append(l.batches, keys)
	l.mu.Unlock()
	l.arrived <- struct{}{}
	<-l.release
	for _, c := range calls {
		c.replies = []any{l.reply}
		c.wake()
	}
}

// lanes are lanes that run their batches here.
func (l *line) lanes(small, large int) *lanes {
	return &lanes{small: group{limit: small, run: l.run}, large: group{limit: large, run: l.run}}
}

func (l *line) seen() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.batches
}

// A part is large whatever its name takes, and says nothing of how large the replies to others are.
func TestPartsHaveTheLanesOfLargeValues(t *testing.T) {
	l := newLine()
	lanes := l.lanes(0, 1) // a call that is not large would wait
	l.reply = make([]byte, 1<<20)
	l.release <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := lanes.do(ctx, []Command{cmd("GETEX", "none"), cmd("HGET", "key", "name")}); err != nil {
		t.Fatal(err)
	}
	if c := (&call{size: lanes.size([]Command{cmd("GETEX", "key")})}); lanes.kind(c) != &lanes.small {
		t.Error("after a part, a small call counts as large")
	}
}

// queue starts a call and returns when it has its place.
func queue(t *testing.T, l *lanes, results *sync.WaitGroup, deadline time.Duration, key string, value []byte) {
	t.Helper()
	before := l.waiting()
	results.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if _, _, err := l.do(ctx, []Command{cmd("SET", key, value)}); err != nil && deadline >= time.Minute {
			t.Errorf("%s: %v", key, err)
		}
	})
	for l.waiting() == before {
		time.Sleep(time.Microsecond)
	}
}

func (l *lanes) waiting() int { return l.small.waiting() + l.large.waiting() }

func (g *group) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue) + g.taken
}

func TestCallsThatFindNoLaneGoOutTogetherInOrder(t *testing.T) {
	line := newLine()
	l := line.lanes(1, 1)
	var results sync.WaitGroup
	for i := range 7 {
		queue(t, l, &results, time.Minute, fmt.Sprint(i), nil)
	}
	line.release <- struct{}{}
	line.release <- struct{}{}
	results.Wait()
	if got := fmt.Sprint(line.seen()); got != "[[0] [1 2 3 4 5 6]]" {
		t.Errorf("batches %s", got)
	}
}

func TestEachFreeLaneTakesACallAtOnce(t *testing.T) {
	line := newLine()
	l := line.lanes(3, 3)
	var results sync.WaitGroup
	for i := range 3 {
		queue(t, l, &results, time.Minute, fmt.Sprint(i), nil)
	}
	for range 3 {
		<-line.arrived // all three run although none was released
	}
	for range 3 {
		line.release <- struct{}{}
	}
	results.Wait()
}

func TestLargeCallsGoByThemselves(t *testing.T) {
	line := newLine()
	l := line.lanes(1, 1)
	var results sync.WaitGroup
	for i := range 3 {
		queue(t, l, &results, time.Minute, fmt.Sprint(i), make([]byte, maxBatch))
	}
	for range 3 {
		line.release <- struct{}{}
	}
	results.Wait()
	if got := fmt.Sprint(line.seen()); got != "[[0] [1] [2]]" {
		t.Errorf("batches %s", got)
	}
}

func TestLargeRepliesMakeSmallBatches(t *testing.T) {
	line := newLine()
	line.reply = bytes.Repeat([]byte("x"), 4*maxBatch)
	l := line.lanes(1, 1)
	var results sync.WaitGroup
	for i := range 12 {
		queue(t, l, &results, time.Minute, fmt.Sprint(i), nil)
	}
	for range 2 { // the first, and those that waited
		line.release <- struct{}{}
	}
	results.Wait()
	for l.waiting() > 0 { // the caller goes on before its lane is free
		time.Sleep(time.Microsecond)
	}
	queue(t, l, &results, time.Minute, "a", nil)
	queue(t, l, &results, time.Minute, "b", nil)
	queue(t, l, &results, time.Minute, "c", nil)
	for range 3 {
		line.release <- struct{}{}
	}
	results.Wait()
	if seen := line.seen(); fmt.Sprint(seen[len(seen)-3:]) != "[[a] [b] [c]]" {
		t.Errorf("batches %v", seen)
	}
}

// A caller whose time is up leaves, and what it wanted is not sent if it was still waiting. Its neighbours stay.
func TestDeadlineOfOneCallIsNotThatOfItsNeighbours(t *testing.T) {
	line := newLine()
	l := line.lanes(1, 1)
	var results sync.WaitGroup
	queue(t, l, &results, time.Minute, "first", nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, _, err := l.do(ctx, []Command{cmd("SET", "hurried", nil)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	queue(t, l, &results, time.Minute, "patient", nil)
	line.release <- struct{}{}
	line.release <- struct{}{}
	results.Wait()
	if got := fmt.Sprint(line.seen()); got != "[[first] [patient]]" {
		t.Errorf("batches %s", got)
	}
}

func TestEachKindHasHalfOfMaxActive(t *testing.T) {
	for _, test := range []struct{ maxActive, large int }{{0, maxLanes}, {1, 1}, {3, 2}, {10, 5}, {1000, maxLanes}} {
		l := newPool(&redis.Pool{MaxActive: test.maxActive}).lanes
		if l.large.limit != test.large || l.small.limit > l.large.limit || l.small.limit < 1 {
			t.Errorf("MaxActive %d: %d lanes, for large values %d", test.maxActive, l.small.limit, l.large.limit)
		}
	}
}

func TestNeitherKindWaitsForTheOther(t *testing.T) {
	line := newLine()
	l := line.lanes(1, 2)
	var results sync.WaitGroup
	queue(t, l, &results, time.Minute, "small", nil)
	<-line.arrived
	queue(t, l, &results, time.Minute, "waiting", nil)
	for _, key := range []string{"large", "another"} {
		queue(t, l, &results, time.Minute, key, make([]byte, large))
		<-line.arrived
	}
	line.release <- struct{}{} // one of the three
	if got := fmt.Sprint(line.seen()[:3]); got != "[[small] [large] [another]]" {
		t.Errorf("batches %s", got)
	}
	for range 3 {
		line.release <- struct{}{}
	}
	results.Wait()
}

func TestSizeMakesACallLarge(t *testing.T) {
	sending := []Command{cmd("SET", "key", make([]byte, large))}
	loading := []Command{cmd("GETEX", "key")}
	for name, test := range map[string]struct {
		commands []Command
		reply    int64
		large    bool
	}{
		"small":         {loading, 0, false},
		"large command": {sending, 0, true},
		"large replies": {loading, large, true},
	} {
		var l lanes
		l.reply.Store(test.reply)
		if got := l.kind(&call{size: l.size(test.commands)}) == &l.large; got != test.large {
			t.Errorf("%s: large = %t", name, got)
		}
	}
}

func TestSmallCallsHaveMoreLanesWhereRedisIsFar(t *testing.T) {
	l := newLanes(0, nil)
	for _, test := range []struct {
		trip time.Duration
		want int
	}{
		{50 * time.Microsecond, l.least},
		{time.Second, l.most},
		{5 * time.Millisecond, 50},
		{4 * time.Millisecond, 40},
		{5 * time.Millisecond, 40}, // once
		{30 * time.Microsecond, l.least},
	} {
		if test.trip == time.Second {
			l.trip.Store(0)
		}
		if l.measure(test.trip, true); l.small.limit != test.want {
			t.Errorf("%v: %d lanes; want %d", test.trip, l.small.limit, test.want)
		}
	}
	for range 1000 {
		l.measure(5*time.Millisecond, true)
	}
	if l.small.limit < 49 {
		t.Errorf("a round trip that stays long: %d lanes", l.small.limit)
	}
	if l.measure(time.Second, false); l.small.limit < 49 || l.small.limit > 50 {
		t.Errorf("a call behind others that took long: %d lanes", l.small.limit)
	}
	if l.measure(30*time.Microsecond, false); l.small.limit != l.least {
		t.Errorf("a call behind others that took short: %d lanes; want %d", l.small.limit, l.least)
	}
	if l := newLanes(10, nil); l.most != 5 {
		t.Errorf("with MaxActive 10: up to %d lanes", l.most)
	}
}

// A lane that is one too many ends with its batch, and what waits goes on others.
func TestLanesThatAreTooManyEnd(t *testing.T) {
	line := newLine()
	l := line.lanes(2, 1)
	var results sync.WaitGroup
	for _, key := range []string{"a", "b", "c"} {
		queue(t, l, &results, time.Minute, key, nil)
	}
	<-line.arrived
	<-line.arrived
	l.small.resize(1)
	line.release <- struct{}{}
	for l.waiting() > 2 { // one lane, one that waits
		time.Sleep(time.Microsecond)
	}
	queue(t, l, &results, time.Minute, "d", nil)
	line.release <- struct{}{}
	<-line.arrived
	if got := fmt.Sprint(line.seen()[2]); got != "[c d]" {
		t.Errorf("the third batch is %s", got)
	}
	line.release <- struct{}{}
	results.Wait()
}

// A lane that is free when a call joins those that wait takes them at once, also if all others are in use.
func TestFreeLaneTakesWhatWaits(t *testing.T) {
	line := newLine()
	l := line.lanes(1, 1)
	var results sync.WaitGroup
	queue(t, l, &results, time.Minute, "first", nil)
	<-line.arrived
	queue(t, l, &results, time.Minute, "waiting", nil)
	l.small.mu.Lock()
	l.small.limit = 2
	l.small.mu.Unlock()
	results.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _, _ = l.do(ctx, []Command{cmd("SET", "joins", nil)})
	})
	<-line.arrived
	if got := fmt.Sprint(line.seen()); got != "[[first] [waiting joins]]" {
		t.Errorf("batches %s", got)
	}
	line.release <- struct{}{}
	line.release <- struct{}{}
	results.Wait()
}
