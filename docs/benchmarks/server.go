package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

// A work is what a request, or a pair of them, does.
type work string

const (
	untouched work = "untouched" // a route that does not use its session
	read      work = "read"      // reads one value
	write     work = "write"     // reads one value and writes it
	begin     work = "new"       // makes a session
	end       work = "destroy"   // makes a session, then destroys it: two requests
	beside    work = "beside"    // write, of a session that may have large values too
	readLarge work = "large"     // reads one large value
)

func (w work) String() string {
	switch w {
	case untouched:
		return "untouched route"
	case write:
		return "read and write"
	case begin:
		return "new session"
	case end:
		return "new, then destroy"
	case beside:
		return "read and write beside ten values of 1 MB"
	case readLarge:
		return "read of one of ten values of 1 MB"
	}
	return string(w)
}

// requestTarget is the path, and the query, of the last request of a work; begin is the first one of end.
func requestTarget(w work, size int) string {
	if w == begin {
		return "/new?size=" + strconv.Itoa(size)
	}
	return "/" + string(w)
}

// handler serves all works through a library.
func handler(l library) http.Handler {
	sizes := make(map[string]func() []member)
	for _, size := range []int{size200B, size4kB, size64kB, size1MB, size10MB} {
		sizes[strconv.Itoa(size)] = sync.OnceValue(func() []member { return members(size) })
	}
	return l.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var visits int
		var err error
		switch r.URL.Path {
		case "/untouched":
		case "/read":
			visits, err = l.read(r)
		case "/write", "/beside":
			visits, err = l.write(w, r)
		case "/large":
			err = readLargeOf(l, r)
		case "/new":
			visits, err = firstVisits, l.begin(w, r, sizes[r.FormValue("size")]())
		case "/destroy":
			err = l.end(w, r)
		default:
			err = fmt.Errorf("no path %q", r.URL.Path)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header()["Content-Type"] = plainText
		_, _ = w.Write(body(visits))
	}))
}

var plainText = []string{"text/plain; charset=utf-8"}

// body is the response, of 16 bytes.
func body(visits int) []byte {
	b := make([]byte, 0, 24)
	b = append(b, "visits "...)
	for limit := 10_000_000; visits < limit && limit > 1; limit /= 10 {
		b = append(b, '0')
	}
	return append(strconv.AppendInt(b, int64(visits), 10), '\n')
}

// Server is the process of one contestant.
type server struct {
	address string
	handler http.Handler
	ballast []byte
}

func newServer(contestant string, redis address) (*server, error) {
	c, err := contestantNamed(contestant)
	if err != nil {
		return nil, err
	}
	l, err := c.open(redis)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: listener.Addr().String(), handler: handler(l)}
	go func() {
		fmt.Fprintln(os.Stderr, http.Serve(listener, s.handler))
		os.Exit(1)
	}()
	return s, nil
}

// Nothing stands for no arguments, or no result.
type Nothing struct{}

// Address returns where the server listens.
func (s *server) Address(_ Nothing, reply *string) error {
	*reply = s.address
	return nil
}

// CPU returns what the process has spent.
func (s *server) CPU(_ Nothing, reply *time.Duration) error {
	*reply = cpuTime()
	return nil
}

// Keep lets the process have so many bytes on its heap that it does not use, in place of those before.
func (s *server) Keep(bytes int, _ *Nothing) error {
	s.ballast = make([]byte, bytes)
	runtime.GC() // so that it counts from now on
	return nil
}

// StartProfile begins to write a CPU profile to a file.
func (s *server) StartProfile(file string, _ *Nothing) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(f)
}

// StopProfile ends it.
func (s *server) StopProfile(_ Nothing, _ *Nothing) error {
	pprof.StopCPUProfile()
	return nil
}

// DirectArgs are what Direct is to do: a work, n times, on a session of a size.
type DirectArgs struct {
	Work work
	Size int
	N    int
}

// DirectReply is what one time has cost.
type DirectReply struct {
	Time   time.Duration
	Allocs float64
	Bytes  float64
}

// Direct calls the handler without a network connection, and without the rest of net/http, in one goroutine.
func (s *server) Direct(args DirectArgs, reply *DirectReply) error {
	d := direct{handler: s.handler, header: make(http.Header)}
	if err := d.do(begin, args.Size, ""); err != nil {
		return err
	}
	cookie := d.setCookie()
	once := func() error {
		switch args.Work {
		case begin:
			return d.do(begin, args.Size, "")
		case end:
			if err := d.do(begin, args.Size, ""); err != nil {
				return err
			}
			return d.do(end, args.Size, d.setCookie())
		}
		return d.do(args.Work, args.Size, cookie)
	}
	for range 3 { // fills pools
		if err := once(); err != nil {
			return err
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range args.N {
		if err := once(); err != nil {
			return err
		}
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	n := float64(args.N)
	*reply = DirectReply{
		Time:   elapsed / time.Duration(args.N),
		Allocs: float64(after.Mallocs-before.Mallocs) / n,
		Bytes:  float64(after.TotalAlloc-before.TotalAlloc) / n,
	}
	return nil
}

// direct is a ResponseWriter that keeps the header, and counts on the body being small.
type direct struct {
	handler http.Handler
	header  http.Header
	status  int
	body    [64]byte
	length  int
}

func (d *direct) do(w work, size int, cookie string) error {
	r, err := http.NewRequest(http.MethodGet, requestTarget(w, size), nil)
	if err != nil {
		return err
	}
	if cookie != "" {
		r.Header["Cookie"] = []string{cookie}
	}
	clear(d.header)
	d.status, d.length = http.StatusOK, 0
	d.handler.ServeHTTP(d, r)
	if d.status != http.StatusOK {
		return errors.New(string(d.body[:d.length]))
	}
	return nil
}

func (d *direct) setCookie() string { return cookiePair(d.header.Get("Set-Cookie")) }

func (d *direct) Header() http.Header    { return d.header }
func (d *direct) WriteHeader(status int) { d.status = status }
func (d *direct) Write(p []byte) (int, error) {
	d.length += copy(d.body[d.length:], p)
	return len(p), nil
}
