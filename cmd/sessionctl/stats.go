package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// sampling is how much of the keys to look at, and how fast.
type sampling struct {
	keys int64
	rate int
}

func (s *sampling) define(command *cobra.Command, keys int64) {
	command.Flags().Int64Var(&s.keys, "sample", keys, "`NUMBER` of keys to look at; 0 for all, which is exact")
	command.Flags().IntVar(&s.rate, "rate", defaultRate, "`NUMBER` of keys to look at per second")
}

func (s *sampling) check() error {
	if s.keys < 0 {
		return usagef("--sample is %d: it must not be negative", s.keys)
	}
	return checkRate(s.rate)
}

func (a *app) statsCommand() *cobra.Command {
	var s sampling
	command := &cobra.Command{
		Use:   "stats",
		Short: "Count sessions, and show their sizes and remaining lives",
		Long: "Count sessions, and show their sizes and remaining lives. It looks at some of\n" +
			"the keys of each node by SCAN, STRLEN, PTTL and their first 64 bytes. Where there\n" +
			"are no more keys than --sample, the numbers are exact.",
		Args: cobra.NoArgs,
		RunE: a.run(s.check, func(ctx context.Context, d *deployment, _ []string) error {
			taken, err := take(ctx, d, s.keys, s.rate, a.bar())
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(taken.report())
			}
			a.printStats(taken)
			return nil
		}),
	}
	s.define(command, defaultSample)
	return command
}

func (a *app) printStats(s *sample) {
	n := s.sessions()
	fmt.Fprintf(a.out, "%s: %s of users, %s of visitors", s.about(counted(n, "session")), count(s.scaled(s.ofUsers)), count(s.scaled(s.ofVisitors)))
	if s.complete {
		fmt.Fprintf(a.out, "; %s signed in\n", counted(int64(len(s.users)), "user"))
	} else {
		fmt.Fprintf(a.out, "\nlooked at %s of %s keys; --sample 0 counts all\n", count(s.seen), count(s.total))
	}
	fmt.Fprintf(a.out, "besides: large values of %s, %s of sessions renewed or ended,\n         %s being saved, %s lists and stamps of users, %s\n",
		counted(s.scaled(s.large), "session"), counted(s.scaled(s.marks), "mark"), count(s.scaled(s.staged)), count(s.scaled(s.records)), counted(s.scaled(s.others), "other key"))
	if n == 0 {
		return
	}
	fmt.Fprintf(a.out, "\nsize: median %s, 95 %% up to %s, largest %s, %s together\n", bytes(quantile(s.sizes, 0.5)),
		bytes(quantile(s.sizes, 0.95)), bytes(quantile(s.sizes, 1)), s.about(bytes(s.scaled(s.sum()))))
	draw(a.out, binned(s.sizes, sizeBounds, bytes), a.width)
	if len(s.lives) > 0 {
		fmt.Fprintf(a.out, "\nexpires, unless used: median in %s\n", length(quantile(s.lives, 0.5)))
		draw(a.out, binned(s.lives, lifeBounds, length), a.width)
	}
	if s.endless > 0 {
		fmt.Fprintf(a.out, "\n%s without expiry, as by PERSIST\n", counted(s.scaled(s.endless), "session"))
	}
}

// sum is how many bytes the sessions have that were seen.
func (s *sample) sum() (sum int64) {
	for _, size := range s.sizes {
		sum += size
	}
	return sum
}

// A report is the form of a sample for scripts. Its numbers are estimates for all keys, except the number of keys
// looked at.
type report struct {
	Exact      bool        `json:"exact"`
	Keys       int64       `json:"keys"`
	Seen       int64       `json:"keys_seen"`
	Sessions   int64       `json:"sessions"`
	OfUsers    int64       `json:"of_users"`
	OfVisitors int64       `json:"of_visitors"`
	Users      *int        `json:"users,omitempty"` // known only if exact
	Marks      int64       `json:"marks"`
	Staged     int64       `json:"being_saved"`
	Large      int64       `json:"with_large_values"`
	Records    int64       `json:"lists_and_stamps"`
	Others     int64       `json:"other_keys"`
	Endless    int64       `json:"without_expiry"`
	Bytes      int64       `json:"bytes"`
	Sizes      quantiles   `json:"size_bytes"`
	Lives      quantiles   `json:"remaining_seconds"`
	SizeBins   []reportBin `json:"size_histogram"`
	LifeBins   []reportBin `json:"remaining_histogram"`
}

type quantiles struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

type reportBin struct {
	UpTo  *float64 `json:"up_to"` // null for the last one, which has no bound
	Count int64    `json:"count"`
}

func (s *sample) report() report {
	r := report{
		Exact: s.complete, Keys: s.total, Seen: s.seen, Sessions: s.sessions(), OfUsers: s.scaled(s.ofUsers),
		OfVisitors: s.scaled(s.ofVisitors), Marks: s.scaled(s.marks), Staged: s.scaled(s.staged), Large: s.scaled(s.large), Records: s.scaled(s.records),
		Others: s.scaled(s.others), Endless: s.scaled(s.endless), Bytes: s.scaled(s.sum()),
		Sizes: quantilesOf(s.sizes, 1), Lives: quantilesOf(s.lives, float64(time.Second)),
		SizeBins: s.bins(binned(s.sizes, sizeBounds, bytes), 1), LifeBins: s.bins(binned(s.lives, lifeBounds, length), float64(time.Second)),
	}
	if s.complete {
		users := len(s.users)
		r.Users = &users
	}
	return r
}

func quantilesOf[T ~int64](sorted []T, unit float64) quantiles {
	at := func(part float64) float64 { return float64(quantile(sorted, part)) / unit }
	return quantiles{at(0.5), at(0.95), at(1)}
}

func (s *sample) bins(bins []bin, unit float64) []reportBin {
	list := []reportBin{}
	for _, b := range bins {
		r := reportBin{Count: s.scaled(b.n)}
		if b.upTo > 0 {
			bound := float64(b.upTo) / unit
			r.UpTo = &bound
		}
		list = append(list, r)
	}
	return list
}
