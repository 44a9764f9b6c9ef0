package demo

import (
	"errors"
	"net"
	"sync"
)

// A Link is the network to Redis, which can fail.
type Link struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	cut   bool
}

// Dial connects, unless the Link is cut.
func (l *Link) Dial(network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errors.New("the demo has cut the link to Redis")
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	if l.conns == nil {
		l.conns = make(map[net.Conn]bool)
	}
	l.conns[conn] = true
	return conn, nil
}

// Break closes all connections. New ones can be made.
func (l *Link) Break() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		_ = conn.Close()
	}
	clear(l.conns)
}

// Cut closes all connections, and lets none be made until Mend.
func (l *Link) Cut() {
	l.setCut(true)
	l.Break()
}

// Mend lets connections be made again.
func (l *Link) Mend() { l.setCut(false) }

func (l *Link) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}
