package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A client speaks just enough HTTP for the responses of handler. It uses its socket without the network poller of the runtime
// and, together with poll, without its scheduler, for these would take more than the rest of a request.
type client struct {
	socket   int
	requests map[work][]byte
	cookie   []byte // name=value, of the last response that set one
	content  []byte // of the last response
	input    []byte // of a response that is not complete
	begun    bool   // of the two requests of end, the first was sent
	scratch  []byte

	count int       // how often it has done its work, in a run
	since time.Time // when it began to
}

const patience = 30 * time.Second

// openClient connects to a server at an address of IPv4, and begins a session.
func openClient(address string, size int) (*client, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c := &client{socket: socket}
	limit := syscall.NsecToTimeval(patience.Nanoseconds())
	err = errors.Join(
		syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit),
		syscall.SetsockoptInt(socket, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.Connect(socket, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}))
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.requests = map[work][]byte{begin: appendRequest(nil, begin, size, nil)}
	if err := c.once(begin); err != nil {
		return nil, errors.Join(err, c.close())
	}
	for _, w := range []work{untouched, read, write, beside, readLarge} {
		c.requests[w] = appendRequest(nil, w, size, c.cookie)
	}
	if err := c.once(read); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if want := body(firstVisits); !bytes.Equal(c.content, want) {
		return nil, errors.Join(fmt.Errorf("a new session answers %q, not %q", c.content, want), c.close())
	}
	return c, nil
}

func (c *client) close() error { return syscall.Close(c.socket) }

func appendRequest(b []byte, w work, size int, cookie []byte) []byte {
	b = fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: localhost\r\n", requestTarget(w, size))
	if cookie != nil {
		b = fmt.Appendf(b, "Cookie: %s\r\n", cookie)
	}
	return append(b, "\r\n"...)
}

// once does a work, and waits for it.
func (c *client) once(w work) error {
	for {
		if err := c.send(w); err != nil {
			return err
		}
		for complete := false; !complete; {
			var err error
			if complete, err = c.receive(w); err != nil {
				return err
			}
		}
		if c.finished(w) {
			return nil
		}
	}
}

// send sends the next request of a work.
func (c *client) send(w work) error {
	request := c.requests[w]
	if w == end {
		c.begun = !c.begun
		request = c.requests[begin]
		if !c.begun {
			c.scratch = appendRequest(c.scratch[:0], end, 0, c.cookie)
			request = c.scratch
		}
	}
	n, err := syscall.Write(c.socket, request)
	if err == nil && n < len(request) {
		err = fmt.Errorf("%d of %d bytes were sent", n, len(request))
	}
	return err
}

// finished tells whether the last response was the last of the work.
func (c *client) finished(w work) bool { return w != end || !c.begun }

// errResponse is wrapped by the error of a response that is not as it should be.
var errResponse = errors.New("not the response of a work that was done")

// receive reads once, and tells whether the response is complete.
func (c *client) receive(w work) (complete bool, err error) {
	c.input = slices.Grow(c.input, 1<<10)
	n, err := syscall.Read(c.socket, c.input[len(c.input):cap(c.input)])
	if errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("response: %w", err)
	}
	if n == 0 {
		return false, errors.New("the server has closed a connection")
	}
	c.input = c.input[:len(c.input)+n]
	head, rest, ok := bytes.Cut(c.input, []byte("\r\n\r\n"))
	if !ok {
		return false, nil
	}
	length, err := strconv.Atoi(string(field(head, "\r\nContent-Length: ")))
	if err != nil {
		return false, fmt.Errorf("response %q has no length", head)
	}
	if len(rest) < length {
		return false, nil
	}
	if cookie := field(head, "\r\nSet-Cookie: "); cookie != nil {
		c.cookie = append(c.cookie[:0], cookiePair(string(cookie))...)
	}
	c.input = c.input[:0]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		c.begun = false
		return true, fmt.Errorf("%w: %q: %q", errResponse, head, rest)
	}
	if (w == write || w == beside) && bytes.Equal(rest, c.content) {
		return true, fmt.Errorf("%w: a write has left the value at %q", errResponse, rest)
	}
	c.content = append(c.content[:0], rest...)
	return true, nil
}

// field is what stands behind a name in the head of a response, or nil.
func field(head []byte, name string) []byte {
	_, value, ok := bytes.Cut(head, []byte(name))
	if !ok {
		return nil
	}
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	return value
}

// cookiePair is the name and the value, without the attributes.
func cookiePair(setCookie string) string {
	pair, _, _ := strings.Cut(setCookie, ";")
	return pair
}
