package redistest

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Proxy passes connections on to a server, and breaks them as a test asks. It ends with the test.
type Proxy struct {
	t       testing.TB
	backend string
	addr    string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	cut      map[net.Conn]bool
	accepted int
	skip     int
	drop     int
}

// NewProxy returns a Proxy to backend, which is host:port.
func NewProxy(t testing.TB, backend string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, backend: backend, addr: "127.0.0.1:0", open: map[net.Conn]bool{}, cut: map[net.Conn]bool{}}
	p.Accept()
	t.Cleanup(func() {
		p.Refuse()
		p.CloseAll()
	})
	return p
}

// Addr returns the proxy's host:port.
func (p *Proxy) Addr() string { return p.addr }

// URL returns the proxy's redis://host:port.
func (p *Proxy) URL() string { return "redis://" + p.addr }

// Connections returns how many connections were made.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// DropReplies makes the proxy pass on the next skip replies of the server, on any connection. Then it swallows n more
// and closes the connection of the last. The commands were executed by then. If a connection has lost one of the
// replies, it passes on no other. It is closed instead, because TCP leaves nothing out.
func (p *Proxy) DropReplies(skip, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skip, p.drop = skip, n
}

// Refuse makes new connections fail. Those that are open stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// Accept ends a Refuse.
func (p *Proxy) Accept() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatalf("redistest: %v", err)
	}
	p.listener, p.addr = listener, listener.Addr().String()
	go p.serve(listener)
}

// CloseAll closes every open connection.
func (p *Proxy) CloseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		conn.Close()
	}
}

// CutAll cuts off every open connection as a firewall does: it stays open, and nothing passes either way.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.cut, p.open)
}

// isCut reports whether a connection was open at a CutAll.
func (p *Proxy) isCut(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut[client]
}

func (p *Proxy) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		p.open[client] = true
		p.mu.Unlock()
		go p.pass(client)
	}
}

// pass connects client with the server until either ends.
func (p *Proxy) pass(client net.Conn) {
	defer func() {
		client.Close()
		p.mu.Lock()
		delete(p.open, client)
		delete(p.cut, client)
		p.mu.Unlock()
	}()
	server, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, cuttable{client, p})
		server.Close()
	}()
	replies := bufio.NewReader(server)
	for lost := false; ; {
		reply, err := readReply(replies)
		if err != nil {
			return
		}
		dropped, last := p.dropped()
		if last || lost && !dropped {
			return
		}
		if dropped {
			lost = true
			continue
		}
		if p.isCut(client) {
			continue
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// A cuttable reads what a client sends, but nothing that the client sends after a CutAll.
type cuttable struct {
	net.Conn
	proxy *Proxy
}

func (c cuttable) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.proxy.isCut(c.Conn) {
			return n, err
		}
	}
}

// dropped reports whether the reply at hand is to be swallowed, and whether it is the last one.
func (p *Proxy) dropped() (dropped, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drop == 0 {
		return false, false
	}
	if p.skip > 0 {
		p.skip--
		return false, false
	}
	p.drop--
	return true, p.drop == 0
}

// readReply returns the bytes of one RESP2 reply.
func readReply(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	switch {
	case n < 0:
		return line, nil
	case line[0] == '$':
		body := make([]byte, n+2)
		_, err = io.ReadFull(r, body)
		return append(line, body...), err
	case line[0] == '*':
		for range n {
			element, err := readReply(r)
			if err != nil {
				return nil, err
			}
			line = append(line, element...)
		}
	}
	return line, nil
}
