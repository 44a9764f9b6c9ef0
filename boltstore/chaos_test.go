package boltstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// chaosVariable has the file for a process that TestKilledAtAnyInstant kills.
const chaosVariable = "BOLTSTORE_CHAOS_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(chaosVariable); path != "" {
		if round := os.Getenv(chaosVariable + "_ROUND"); round == "create" {
			fmt.Println(createMany(path))
		} else {
			fmt.Println(work(path, round))
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// createMany makes files until the process is killed.
func createMany(path string) error {
	for i := 0; ; i++ {
		fmt.Println(path + fmt.Sprint(i))
		store, err := Open(path + fmt.Sprint(i))
		if err != nil {
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
	}
}

func TestKilledWhileItMakesAFile(t *testing.T) {
	for range 8 {
		paths := kill(t, filepath.Join(t.TempDir(), "sessions"), "create", 10)
		for _, path := range paths[max(0, len(paths)-1):] {
			store := open(t, path)
			save(t, store, "id", time.Hour)
			closeStore(t, store)
			check(t, path)
		}
	}
}

const workers = 4

// work is what the process does until it is killed: each worker says what it is about to do, does it, and says so.
func work(path, round string) error {
	store, err := Open(path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range workers {
		m := newModel(fmt.Sprintf("r%sw%d", round, i))
		go func() {
			for {
				next := m.pick()
				say("begin", next)
				if err := next.do(store, m); err != nil {
					failed <- fmt.Errorf("%+v: %w", next, err)
				}
				m.apply(next)
				say("done", next)
			}
		}()
	}
	go func() {
		for i := 0; ; i++ { // what expires meanwhile
			id, part := fmt.Sprintf("r%s %d", round, i), partOf(fmt.Sprint(i))
			_, err := store.SaveLarge(context.Background(), id, nil, []byte("{}"), time.Millisecond, part)
			if err := errors.Join(err, store.sweeper.sweep()); err != nil {
				failed <- err
			}
		}
	}()
	return <-failed
}

func say(word string, s step) {
	text, _ := json.Marshal(s)
	_, _ = os.Stdout.WriteString(word + " " + string(text) + "\n") // one write, so that lines are not mixed
}

// A step is one call of the store.
type step struct{ User, Call, ID, Was, Value, Part string }

// A model is what the store must have of one user and of some visitors.
type model struct {
	user   string
	values map[string]string // also of IDs that were removed
	parts  map[string][]string
	list   []string
	ever   []string // all IDs
}

func newModel(user string) *model {
	return &model{user: user, values: map[string]string{}, parts: map[string][]string{}}
}

func (m *model) isThere(id string) bool { _, ok := m.values[id]; return ok }

// living is the list as [driver.Users] returns it.
func (m *model) living() []string {
	return slices.DeleteFunc(slices.Clone(m.list), func(id string) bool { return !m.isThere(id) })
}

// limit is how many IDs a user has, so that the oldest have to go now and then.
const limit = 4

func (m *model) pick() step {
	s := step{User: m.user, Value: strings.Repeat(fmt.Sprint(rand.Uint64()), 1+rand.IntN(200))}
	fresh, known := fmt.Sprintf("%s:%d", m.user, len(m.ever)), ""
	if len(m.ever) > 0 {
		known = m.ever[rand.IntN(len(m.ever))]
	}
	calls := []string{"save", "save", "saveLarge", "saveLarge", "conflict", "removePart", "removeParts", "add", "add", "replace",
		"remove", "removeAll", "removeOthers", "bury", "delete", "load"}
	s.Call, s.ID, s.Part = calls[rand.IntN(len(calls))], known, fmt.Sprint(rand.Uint64())
	switch {
	case known == "":
		s.Call, s.ID = "saveLarge", fresh
	case strings.HasPrefix(s.Call, "save") && rand.IntN(2) == 0:
		s.ID = fresh
	case s.Call == "removePart" && len(m.parts[known]) > 0:
		s.Part = m.parts[known][0]
	case s.Call == "replace":
		s.Was = m.ever[rand.IntN(len(m.ever))]
	}
	return s
}

// apply makes of the model what the step makes of the store.
func (m *model) apply(s step) {
	m.applyParts(s)
	place := slices.Index(m.list, s.ID)
	switch s.Call {
	case "save", "saveLarge":
		if !slices.Contains(m.ever, s.ID) {
			m.ever = append(m.ever, s.ID)
		}
		m.values[s.ID] = s.Value
	case "delete":
		delete(m.values, s.ID)
	case "bury":
		if m.isThere(s.ID) {
			m.values[s.ID] = s.Value
		}
	case "add":
		if place < 0 {
			m.list = append(m.living(), s.ID)
			m.list = m.list[max(0, len(m.list)-limit):]
		}
	case "replace":
		if at := slices.Index(m.list, s.Was); at >= 0 && place < 0 {
			m.list[at] = s.ID
		}
	case "remove":
		if place >= 0 {
			m.list = slices.Delete(m.list, place, place+1)
		}
	case "removeOthers":
		if place >= 0 {
			m.list = []string{s.ID}
		}
	case "removeAll":
		m.list = nil
	}
}

// do makes the step, and returns an error that the model does not explain.
func (s step) do(store *Store, m *model) (err error) {
	ctx := context.Background()
	entry := driver.Entry{ID: s.ID, Keep: time.Hour, Limit: limit}
	switch s.Call {
	case "save", "saveLarge":
		return s.save(store, m)
	case "conflict":
		_, err = store.SaveLarge(ctx, s.ID, []byte("another"), []byte(s.Value), time.Hour, partOf(s.Part))
		if m.isThere(s.ID) && errors.Is(err, driver.ErrConflict) {
			return nil
		}
	case "removePart":
		return store.RemoveParts(ctx, s.ID, s.Part)
	case "removeParts":
		return store.RemoveParts(ctx, s.ID)
	case "load":
		_, err = store.Load(ctx, s.ID, time.Hour)
	case "delete":
		_, err = store.Delete(ctx, s.ID, nil)
	case "bury":
		err = store.Bury(ctx, []byte(s.Value), time.Hour, s.ID)
	case "add":
		_, err = store.Add(ctx, entry)
	case "replace":
		if slices.Contains(m.list, s.ID) {
			return nil // no caller replaces an ID by another of the list
		}
		err = store.Replace(ctx, s.Was, entry)
	case "remove":
		err = store.Remove(ctx, s.ID)
	case "removeOthers":
		_, err = store.RemoveOthers(ctx, s.ID)
	case "removeAll":
		_, err = store.RemoveAll(ctx, m.user)
	}
	if errors.Is(err, driver.ErrRemoved) || errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

func (s step) save(store *Store, m *model) (err error) {
	var was []byte
	if m.isThere(s.ID) {
		was = []byte(m.values[s.ID])
	}
	if s.Call == "save" {
		_, err = store.Save(context.Background(), s.ID, was, []byte(s.Value), time.Hour)
	} else {
		_, err = store.SaveLarge(context.Background(), s.ID, was, []byte(s.Value), time.Hour, partOf(s.Part))
	}
	return err
}

// differs says where the store is not what the model says.
func (m *model) differs(store *Store) error {
	members, err := store.Members(context.Background(), m.user)
	if err != nil {
		return err
	}
	var list []string
	for _, member := range members {
		list = append(list, member.ID)
	}
	if !slices.Equal(list, m.living()) {
		return fmt.Errorf("%s has %q; want %q", m.user, list, m.living())
	}
	for _, id := range m.ever {
		want, ok := m.values[id]
		value, err := store.Load(context.Background(), id, time.Hour)
		if string(value) != want || (value != nil) != ok || (err == nil) != slices.Contains(list, id) {
			return fmt.Errorf("%s: %.20q, %v; want %.20q in the list %q", id, value, err, want, list)
		}
		if err := m.partsDiffer(store, id); err != nil {
			return err
		}
	}
	return nil
}

// A process is killed again and again while it changes a file. Each time all that it has reported as done is in the file,
// and who was ended is not back. With SESSION_CHAOS, such as 10m, that goes on for so long.
func TestKilledAtAnyInstant(t *testing.T) {
	atLeast, _ := time.ParseDuration(os.Getenv("SESSION_CHAOS")) // 0 if it is not set
	begin, path := time.Now(), filepath.Join(t.TempDir(), "sessions")
	var models []*model
	steps, round := 0, 0
	for ; round < 12 || time.Since(begin) < atLeast; round++ {
		lines := kill(t, path, fmt.Sprint(round), 200)
		steps += len(lines) / 2
		store, err := Open(path)
		if err != nil {
			t.Fatalf("after %d lines: %v", len(lines), err)
		}
		models = append(models, survivors(t, store, lines)...)
		if len(models) > 100*workers {
			models = models[len(models)-100*workers:]
		}
		for _, m := range models {
			if err := m.differs(store); err != nil {
				t.Fatalf("after round %d: %v", round, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, path)
	}
	t.Logf("%d kills, %d steps", round, steps)
}

// survivors returns the models after a round. The last step of a worker may have been made or not.
func survivors(t *testing.T, store *Store, lines []string) (models []*model) {
	t.Helper()
	byUser, pending := map[string]*model{}, map[string]step{}
	for _, line := range lines {
		var s step
		word, text, _ := strings.Cut(line, " ")
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatalf("the process says %q", line)
		}
		if byUser[s.User] == nil {
			byUser[s.User] = newModel(s.User)
		}
		if word == "begin" {
			pending[s.User] = s
			continue
		}
		byUser[s.User].apply(s)
		delete(pending, s.User)
	}
	for user, m := range byUser {
		if last, ok := pending[user]; ok && m.differs(store) != nil {
			m.apply(last)
		}
		models = append(models, m)
	}
	return models
}

// kill starts a process, kills it at some instant before or after it has written up to most lines, and returns the whole
// lines that it has written.
func kill(t *testing.T, path, round string, most int) (lines []string) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), chaosVariable+"="+path, chaosVariable+"_ROUND="+round)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	enough := rand.IntN(most)
	var once sync.Once
	end := func() { once.Do(func() { _ = process.Process.Kill() }) }
	if enough < most/5 { // perhaps while it opens the file
		time.AfterFunc(time.Duration(rand.IntN(int(100*time.Millisecond))), end)
	}
	for reader := bufio.NewReader(output); ; {
		line, err := reader.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if lines = append(lines, strings.TrimSuffix(line, "\n")); len(lines) == enough {
			time.AfterFunc(time.Duration(rand.IntN(int(5*time.Millisecond))), end)
		}
	}
	end()
	_ = process.Wait() // it was killed
	return lines
}
