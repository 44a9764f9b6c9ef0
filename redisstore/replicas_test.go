package redisstore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

func TestReplicas(t *testing.T) {
	t.Parallel()
	const patience = 100 * time.Millisecond
	set := redistest.StartSentinels(t, nil, "sentinel down-after-milliseconds "+redistest.MasterName+" 60000")
	master, replica := set.Servers[0], set.Servers[1]
	store := openSentinel(t, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: 1, ReplicaTimeout: patience})
	first, second := longValue("1"), longValue("2")
	mustSave(t, store, "1", mustSave(t, store, "1", nil, longValue("0")), first) // the server knows the script
	commands := master.Commands(t, func() {
		mustSave(t, store, "1", first, second)
		wantStored(t, store, "1", second)
	})
	commands = slices.DeleteFunc(commands, func(name string) bool { return name != "EVALSHA" && name != "WAIT" && name != "GETEX" })
	if got := strings.Join(commands, " "); got != "EVALSHA WAIT GETEX" {
		t.Errorf("commands = %s; want one WAIT behind the save", got)
	}
	if got, err := store.Save(t.Context(), "1", first, value("3"), time.Minute); err != driver.ErrConflict {
		t.Errorf("a stale save = %.50q, %v", got, err)
	}
	mustAdd(t, store, "alice:1")
	commands = master.Commands(t, func() {
		_, _ = store.Load(t.Context(), "alice:1", time.Minute)
		_, _ = store.RemoveAll(t.Context(), "alice")
	})
	commands = append(commands, master.Commands(t, func() {
		_, _ = store.LoadLarge(t.Context(), "1", time.Minute)
		_, _ = store.Part(t.Context(), "1", "none")
		_ = store.RemoveParts(t.Context(), "1", "none")
	})...)
	commands = slices.DeleteFunc(commands, func(name string) bool {
		return !slices.Contains([]string{"ZRANK", "PEXPIRE", "GETEX", "HGET", "HDEL", "UNLINK", "ZPOPMIN", "WAIT"}, name)
	})
	if got := strings.Join(commands, " "); got != "ZRANK GETEX UNLINK WAIT ZPOPMIN WAIT PEXPIRE GETEX GETEX HGET HDEL WAIT" {
		t.Errorf("commands = %s; want a WAIT behind each change, and none behind a load", got)
	}

	replica.Stop()
	third := value("3")
	for _, operation := range []func() error{
		func() error { _, err := store.Save(t.Context(), "1", second, third, time.Minute); return err },
		func() error { _, err := store.Save(t.Context(), "2", nil, third, time.Minute); return err },
		func() error { _, err := store.Delete(t.Context(), "2", nil); return err },
	} {
		start, err := time.Now(), operation()
		if took := time.Since(start); took < patience/2 || took > time.Second+patience {
			t.Errorf("it took %v; want %v", took, patience)
		}
		wantErrors(t, map[string]error{"": err}, "0 of 1 replicas")
	}
	wantStored(t, store, "1", third)

	// What waits for replicas holds up nobody else.
	slow := openSentinel(t, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: 1, ReplicaTimeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	var done atomic.Int32
	for range 50 {
		group.Go(func() {
			if _, err := slow.Save(ctx, rand.Text(), nil, third, time.Minute); err != nil {
				t.Error(err)
			}
			done.Add(1)
		})
	}
	redistest.Eventually(t, func() error {
		if n, _ := strconv.Atoi(strings.TrimSpace(field(string(master.Do(t, "INFO", "clients").([]byte)), "blocked_clients"))); n < 50 {
			return fmt.Errorf("%d saves wait", n)
		}
		return nil
	})
	wantStored(t, slow, "1", third)
	if n := done.Load(); n > 0 {
		t.Errorf("a load took as long as %d saves that wait for replicas", n)
	}
	replica.Cont()
	group.Wait()
	redistest.Eventually(t, func() error { // a repeat of the save counts once, and now succeeds
		_, err := store.Save(t.Context(), "1", second, third, time.Minute)
		return err
	})
}

// The permission for WAIT is missing, but the change is on the master.
func TestWaitThatIsRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">word", "~*", "+@all", "-wait")
	sentinel := newFakeSentinel(t, server.Addr(), nil)
	store := openSentinel(t, redisstore.SentinelConfig{
		Addrs: []string{sentinel.Addr().String()}, Username: "app", Password: "word", Replicas: 1,
	})
	v := value("1")
	_, err := store.Save(t.Context(), "1", nil, v, time.Minute)
	wantErrors(t, map[string]error{"save": err}, "WAIT: NOPERM", "+wait for SentinelConfig.Replicas")
	wantStored(t, store, "1", v)
}

// field returns a value of INFO.
func field(info, name string) string {
	_, rest, _ := strings.Cut(info, name+":")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// BenchmarkReplicas is the price of SentinelConfig.Replicas.
func BenchmarkReplicas(b *testing.B) {
	set := redistest.StartSentinels(b, nil)
	for _, replicas := range []int{0, 1} {
		store := openSentinel(b, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: replicas})
		b.Run(fmt.Sprintf("%d/one after the other", replicas), func(b *testing.B) {
			id, was := rand.Text(), value("1")
			mustSave(b, store, id, nil, was)
			for b.Loop() {
				was = mustSave(b, store, id, was, value("1"))
			}
		})
		b.Run(fmt.Sprintf("%d/32 at once", replicas), func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				id, was := rand.Text(), value("1")
				mustSave(b, store, id, nil, was)
				for pb.Next() {
					was = mustSave(b, store, id, was, value("1"))
				}
			})
		})
	}
}
