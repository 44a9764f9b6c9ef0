package main

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultSample is how many keys are looked at: a few seconds of Redis.
const defaultSample = 100_000

// A sample is what some of the keys, or all, are.
type sample struct {
	seen, total int64 // keys looked at, and keys that there are
	complete    bool

	ofVisitors, ofUsers int64 // sessions
	users               map[string]bool
	marks               int64 // of sessions that were renewed or ended
	staged              int64
	large               int64 // sessions with large values
	records             int64 // lists and stamps of users
	others              int64

	sizes   []int64         // of sessions, in bytes
	lives   []time.Duration // that remain to sessions
	endless int64           // sessions that live without an end
}

// take looks at up to limit keys, or all if limit is 0.
func take(ctx context.Context, d *deployment, limit int64, rate int, bar *bar) (*sample, error) {
	taken := &sample{users: map[string]bool{}}
	s := scan{d: d, limit: limit, rate: rate, bar: bar}
	err := s.run(ctx, func(ctx context.Context, node *redis.Client, keys []string) error {
		return taken.add(ctx, d, node, keys)
	})
	taken.seen, taken.total, taken.complete = s.seen, s.total, s.isComplete()
	slices.Sort(taken.sizes)
	slices.Sort(taken.lives)
	return taken, err
}

func (s *sample) add(ctx context.Context, d *deployment, node *redis.Client, keys []string) error {
	var sessions []string
	for _, key := range keys {
		switch kind, _, _ := d.kindOf(key); kind {
		case sessionKey:
			sessions = append(sessions, key)
		case stagedKey:
			s.staged++
		case largeKey:
			s.large++
		case listKey, stampKey:
			s.records++
		default:
			s.others++
		}
	}
	return s.measure(ctx, d, node, sessions)
}

// headSize is enough to see a mark, which stands behind the revision.
const headSize = 64

var isMark = regexp.MustCompile(`^\{"_rev":"[^"]*","_(renewed|ended)":`)

// gone is the PTTL of a key that has expired since.
const gone = -2

// measure asks for what is known of a key without its value.
func (s *sample) measure(ctx context.Context, d *deployment, node *redis.Client, keys []string) error {
	var sizes []*redis.IntCmd
	var lives []*redis.Cmd
	var heads []*redis.StringCmd
	_, err := node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			sizes = append(sizes, pipe.StrLen(ctx, key))
			lives = append(lives, pipe.Do(ctx, "PTTL", key))
			heads = append(heads, pipe.GetRange(ctx, key, 0, headSize-1))
		}
		return nil
	})
	for i, key := range keys {
		failure := sizes[i].Err()
		milliseconds, _ := lives[i].Int64()
		switch {
		case redis.HasErrorPrefix(failure, "WRONGTYPE"):
			s.others++
		case redis.HasErrorPrefix(failure, "MOVED"), redis.HasErrorPrefix(failure, "ASK"): // its slot has just moved
		case failure != nil:
			return err
		case milliseconds == gone:
		case isMark.MatchString(heads[i].Val()):
			s.marks++
		default:
			_, _, tag := d.kindOf(key)
			s.session(tag, sizes[i].Val(), milliseconds)
		}
	}
	return nil
}

func (s *sample) session(tag string, size, milliseconds int64) {
	if tag == "" {
		s.ofVisitors++
	} else {
		s.ofUsers++
		s.users[tag] = true
	}
	s.sizes = append(s.sizes, size)
	if milliseconds < 0 {
		s.endless++
		return
	}
	s.lives = append(s.lives, time.Duration(milliseconds)*time.Millisecond)
}

// scaled is how many of something there are if so many were seen.
func (s *sample) scaled(n int64) int64 {
	if s.complete || s.seen == 0 {
		return n
	}
	return int64(float64(n) * float64(s.total) / float64(s.seen))
}

// sessions is how many sessions there are.
func (s *sample) sessions() int64 { return s.scaled(s.ofVisitors + s.ofUsers) }

// about marks a number that was not counted.
func (s *sample) about(text string) string {
	if s.complete {
		return text
	}
	return "about " + text
}
