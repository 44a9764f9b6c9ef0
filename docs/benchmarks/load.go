package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is the load generator's process. For each server it has clients with a connection and a session each, that stay from one
// slice to the next.
type load struct {
	clients map[string][]*client // by the server's address
}

func newLoad() *load { return &load{make(map[string][]*client)} }

// OpenArgs say how many clients Open makes, and how large their sessions are.
type OpenArgs struct {
	Address string
	Clients int
	Size    int
}

// Open connects the clients to a server, one after the other, gives each a session, and looks whether it is there.
func (l *load) Open(args OpenArgs, _ *Nothing) error {
	for range args.Clients {
		c, err := openClient(args.Address, args.Size)
		if err != nil {
			return err
		}
		l.clients[args.Address] = append(l.clients[args.Address], c)
	}
	return nil
}

// Close closes all clients.
func (l *load) Close(_ Nothing, _ *Nothing) error {
	var errs []error
	for _, clients := range l.clients {
		for _, c := range clients {
			errs = append(errs, c.conn.Close())
		}
	}
	clear(l.clients)
	return errors.Join(errs...)
}

// RunArgs say what the clients of a server do. They do a work for a time, or each of them does it count times.
type RunArgs struct {
	Address  string
	Work     work
	Duration time.Duration
	Count    int
}

// RunReply is what they did.
type RunReply struct {
	Done     int // how often the work was done
	Failed   int // how often the server answered with an error
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// Run lets all clients of a server work at once.
func (l *load) Run(args RunArgs, reply *RunReply) error {
	clients := l.clients[args.Address]
	runs := make([]clientRun, len(clients))
	start := time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { runs[i] = c.run(args, start) })
	}
	wg.Wait()
	reply.Elapsed = time.Since(start)
	var all []time.Duration
	for _, r := range runs {
		if r.err != nil {
			return r.err // one is enough, of the hundreds that may be the same
		}
		reply.Failed += r.failed
		all = append(all, r.took...)
	}
	if len(all) == 0 {
		return fmt.Errorf("all of %d requests failed", reply.Failed)
	}
	slices.Sort(all)
	reply.Done, reply.P50, reply.P99 = len(all), all[len(all)/2], all[len(all)*99/100]
	return nil
}

// A client speaks just enough HTTP for the responses of handler: a general client costs more than the server that is measured.
type client struct {
	conn     net.Conn
	reader   *bufio.Reader
	cookie   []byte // name=value, of the last response that set one
	content  []byte // of the last response
	requests map[work][]byte
	scratch  []byte
}

const patience = 30 * time.Second

func openClient(address string, size int) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, reader: bufio.NewReader(conn)}
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return c, err
	}
	fresh := appendRequest(nil, begin, size, nil)
	if err := c.do(fresh); err != nil {
		return c, err
	}
	c.requests = map[work][]byte{begin: fresh}
	for _, w := range []work{untouched, read, write} {
		c.requests[w] = appendRequest(nil, w, size, c.cookie)
	}
	if err := c.do(c.requests[read]); err != nil {
		return c, err
	}
	if want := body(firstVisits); !bytes.Equal(c.content, want) {
		return c, fmt.Errorf("a new session answers %q, not %q", c.content, want)
	}
	return c, nil
}

func appendRequest(b []byte, w work, size int, cookie []byte) []byte {
	b = fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: localhost\r\n", requestTarget(w, size))
	if cookie != nil {
		b = fmt.Appendf(b, "Cookie: %s\r\n", cookie)
	}
	return append(b, "\r\n"...)
}

// clientRun is what one client did.
type clientRun struct {
	took   []time.Duration // each time that the work was done
	failed int
	err    error // of the connection: the end
}

// errStatus is wrapped by the error of a response that has another status than 200.
var errStatus = errors.New("not the status 200")

// run does the work again and again.
func (c *client) run(args RunArgs, start time.Time) (r clientRun) {
	if r.err = c.conn.SetDeadline(start.Add(args.Duration + patience)); r.err != nil {
		return r
	}
	last := start
	for {
		err := c.once(args.Work)
		now := time.Now()
		switch {
		case err == nil:
			r.took = append(r.took, now.Sub(last))
		case errors.Is(err, errStatus):
			r.failed++
		default:
			r.err = err
			return r
		}
		last = now
		if args.Count > 0 && len(r.took)+r.failed == args.Count || args.Count == 0 && now.Sub(start) >= args.Duration {
			return r
		}
	}
}

func (c *client) once(w work) error {
	if w != end {
		return c.do(c.requests[w])
	}
	if err := c.do(c.requests[begin]); err != nil {
		return err
	}
	c.scratch = appendRequest(c.scratch[:0], end, 0, c.cookie)
	return c.do(c.scratch)
}

// do sends a request and reads the response.
func (c *client) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, length := []byte(nil), -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("response: %w", err)
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		if first {
			status = append(status, line...)
		} else if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		} else if value, ok := bytes.CutPrefix(line, []byte("Set-Cookie: ")); ok {
			c.cookie = append(c.cookie[:0], cookiePair(string(value))...)
		}
	}
	if length < 0 {
		return fmt.Errorf("response %q without a length", status)
	}
	c.content = slices.Grow(c.content[:0], length)[:length]
	if _, err := io.ReadFull(c.reader, c.content); err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("%w: %q: %q", errStatus, status, c.content)
	}
	return nil
}

// cookiePair is the name and the value, without the attributes.
func cookiePair(setCookie string) string {
	pair, _, _ := strings.Cut(setCookie, ";")
	return pair
}
