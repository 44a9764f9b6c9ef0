package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultRate is how many keys per second a scan goes through. That is a few per cent of what a Redis can do.
const defaultRate = 10_000

// maxPage is how many keys one SCAN looks at, at most. Redis does nothing else for about a millisecond then.
const maxPage = 250

// A scan goes through the keys of all nodes by SCAN, one node after the other.
type scan struct {
	d     *deployment
	limit int64 // how many keys; 0 is all
	rate  int   // of keys per second
	bar   *bar

	total int64 // keys that there are
	seen  int64
	began time.Time
}

// run calls visit for a page of keys at a time. A part of all keys is the same part of each node. The values do not
// decide which keys are in it, because SCAN goes by hashes.
func (s *scan) run(ctx context.Context, visit func(ctx context.Context, node *redis.Client, keys []string) error) error {
	defer s.bar.clear()
	nodes, err := s.d.nodes(ctx)
	if err != nil {
		return fmt.Errorf("nodes of the cluster: %w", err)
	}
	sizes := make([]int64, len(nodes))
	for i, node := range nodes {
		if sizes[i], err = node.DBSize(ctx).Result(); err != nil {
			return fmt.Errorf("DBSIZE of %s: %w", node.Options().Addr, err)
		}
		s.total += sizes[i]
	}
	s.began = time.Now()
	for i, node := range nodes {
		if err := s.node(ctx, node, s.share(sizes[i]), visit); err != nil {
			return fmt.Errorf("SCAN of %s: %w", node.Options().Addr, err)
		}
	}
	return nil
}

// share is how many keys to look at on a node with this many; 0 is all.
func (s *scan) share(size int64) int64 {
	if s.isComplete() {
		return 0
	}
	return s.limit*size/s.total + 1
}

// isComplete reports whether the scan goes through all keys.
func (s *scan) isComplete() bool { return s.limit == 0 || s.limit >= s.total }

func (s *scan) node(ctx context.Context, node *redis.Client, limit int64, visit func(context.Context, *redis.Client, []string) error) error {
	page := int64(min(max(s.rate/10, 1), maxPage))
	var cursor uint64
	for seen := int64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, "", page).Result()
		if err != nil {
			return err
		}
		if err := visit(ctx, node, keys); err != nil {
			return err
		}
		seen, s.seen = seen+int64(len(keys)), s.seen+int64(len(keys))
		s.bar.show(s.seen, s.goal())
		if cursor = next; cursor == 0 || limit > 0 && seen >= limit {
			return nil
		}
		due := s.began.Add(time.Duration(float64(s.seen) / float64(s.rate) * float64(time.Second)))
		if err := sleep(ctx, time.Until(due)); err != nil {
			return err
		}
	}
}

func (s *scan) goal() int64 {
	if s.isComplete() {
		return s.total
	}
	return s.limit
}

func checkRate(rate int) error {
	if rate < 1 {
		return usagef("--rate is %d: it must be at least 1", rate)
	}
	return nil
}

// What a key is.
type kind int

const (
	otherKey kind = iota
	sessionKey
	stagedKey // the next value of a session
	largeKey  // the large values of a session
	listKey   // of a user
	stampKey  // of a user
)

// kindOf returns what a key is, the ID of a session and the tag of a user. docs/operations.md lists the keys.
func (d *deployment) kindOf(key string) (k kind, id, tag string) {
	if strings.HasPrefix(key, "{"+d.prefix) {
		return besides(key), "", ""
	}
	rest, ok := strings.CutPrefix(key, d.prefix)
	if !ok {
		return otherKey, "", ""
	}
	if isUUID(rest) {
		return sessionKey, rest, ""
	}
	tag, rest, ok = strings.Cut(strings.TrimPrefix(rest, "{"), "}:")
	switch {
	case !ok:
		return otherKey, "", ""
	case rest == "user":
		return listKey, "", tag
	case rest == "stamp":
		return stampKey, "", tag
	case isUUID(rest):
		return sessionKey, tag + ":" + rest, tag
	case len(rest) > uuidLength && isUUID(rest[:uuidLength]) && rest[uuidLength] == ':':
		return besides(key), "", tag
	}
	return otherKey, "", ""
}

// besides is what a key is that is beside that of a session.
func besides(key string) kind {
	if strings.HasSuffix(key, ":large") {
		return largeKey
	}
	return stagedKey
}

const uuidLength = 36

func isUUID(text string) bool {
	return len(text) == uuidLength && strings.Count(text, "-") == 4 && strings.Trim(text, "0123456789abcdef-") == ""
}
