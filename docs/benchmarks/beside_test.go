package main

import (
	"slices"
	"strings"
	"testing"
)

func TestContestantsWithLargeValuesSendTheirCommands(t *testing.T) {
	t.Parallel()
	redis := testRedis(t)
	save := "PEXPIRE SET EVALSHA"
	if redis.ifEqual {
		save = "PEXPIRE SET"
	}
	for name, want := range map[string]map[work]string{
		nameLarge: {read: "PEXPIRE GETEX", beside: "PEXPIRE GETEX " + save, readLarge: "PEXPIRE GETEX GETEX HGET"},
		nameHash:  {read: "EXISTS HGET", beside: "EXISTS HGET HSET EXPIRE", readLarge: "EXISTS HGET"},
		nameHGET:  {readLarge: "HGET"},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientOf(t, name, redis, size4kB)
			if err := client.once(beside); err != nil { // Redis may have to learn a script
				t.Fatal(err)
			}
			for w, want := range want {
				got, err := redis.watch(func() error { return client.once(w) })
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(got, " "); got != want {
					t.Errorf("%s sends %q, want %q", w, got, want)
				}
			}
		})
	}
}

func TestContestantsWithLargeValuesChangeTheSmallOne(t *testing.T) {
	t.Parallel()
	redis := testRedis(t)
	for _, name := range []string{nameLarge, nameHash} {
		client := clientOf(t, name, redis, size4kB)
		for i := range 3 {
			if err := client.once(beside); err != nil {
				t.Fatal(err)
			}
			if want := body(firstVisits + 1 + i); !slices.Equal(client.content, want) {
				t.Errorf("%s answers %q, want %q", name, client.content, want)
			}
		}
	}
}
