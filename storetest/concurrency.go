package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sessionkv/session/driver"
)

// crowd is how many goroutines the tests of concurrency have.
const crowd = 50

// together runs fn in many goroutines and waits for them.
func together(fn func(i int)) {
	var group sync.WaitGroup
	for i := range crowd {
		group.Go(func() { fn(i) })
	}
	group.Wait()
}

// increment adds 1 to the number in the body.
func (s suite) increment() error {
	was, err := s.load()
	if err != nil {
		return err
	}
	for {
		_, body, _ := bytes.Cut(was, []byte(`"body":`))
		n, err := strconv.Atoi(string(bytes.TrimSuffix(body, []byte("}"))))
		if err != nil {
			return err
		}
		current, err := s.save(was, value(strconv.Itoa(n+1)))
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
		was = current
	}
}

func (s suite) concurrentSaves() {
	s.mustSave(nil, value("0"))
	together(func(int) {
		if err := s.increment(); err != nil {
			s.Error(err)
		}
	})
	got, err := s.load()
	if want := fmt.Sprintf(`"body":%d}`, crowd); err != nil || !bytes.HasSuffix(got, []byte(want)) {
		s.Fatalf("after %d increments: %s, %v", crowd, got, err)
	}
}

func (s suite) concurrentCreates() {
	var winner atomic.Pointer[[]byte]
	together(func(i int) {
		v := value(fmt.Sprint(i))
		_, err := s.save(nil, v)
		if err == nil && !winner.CompareAndSwap(nil, &v) {
			s.Error("two new values were stored")
		}
		if err != nil && !errors.Is(err, driver.ErrConflict) {
			s.Error(err)
		}
	})
	if winner.Load() == nil {
		s.Fatal("no new value was stored")
	}
	s.wantStored(*winner.Load())
}

func (s suite) concurrentDeletes() {
	v := value("1")
	s.mustSave(nil, v)
	var got atomic.Int32
	together(func(int) {
		value, err := s.remove()
		if err == nil && bytes.Equal(value, v) {
			got.Add(1)
		} else if !errors.Is(err, driver.ErrNotFound) {
			s.Errorf("Delete = %q, %v", value, err)
		}
	})
	if got.Load() != 1 {
		s.Fatalf("%d deletes got the value; want 1", got.Load())
	}
}

// One of the callers knows the value that is stored, whatever the others save.
func (s suite) deleteOnlyAmongSaves() {
	s.mustSave(nil, value("0"))
	var deleted atomic.Int32
	together(func(i int) {
		was, err := s.load()
		if err == nil && i%2 == 0 {
			if _, err = s.removeOnly(was); err == nil {
				deleted.Add(1)
			}
		} else if err == nil {
			_, err = s.save(was, value("1"))
		}
		if err != nil && !errors.Is(err, driver.ErrConflict) && !errors.Is(err, driver.ErrNotFound) {
			s.Error(err)
		}
	})
	if _, err := s.load(); deleted.Load() > 1 || (deleted.Load() == 1) != errors.Is(err, driver.ErrNotFound) {
		s.Errorf("%d deletes of one session, then %v", deleted.Load(), err)
	}
}

func (s suite) deleteAmongSaves() {
	s.mustSave(nil, value("0"))
	together(func(i int) {
		was, err := s.load()
		if err == nil && i == crowd/2 {
			_, err = s.remove()
		} else if err == nil {
			_, err = s.save(was, value("1"))
		}
		if err != nil && !errors.Is(err, driver.ErrConflict) && !errors.Is(err, driver.ErrNotFound) {
			s.Error(err)
		}
	})
	s.wantNothing()
}
