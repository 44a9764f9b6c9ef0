package redisstore

import (
	"bufio"
	"net"
	"time"
)

// bufferSize takes a whole batch, or the values of most sessions, in one system call. redigo's own buffers have 4 kB, and
// it writes them out whenever they are full.
const bufferSize = maxBatch

// bufferedConn keeps what it was given until somebody reads from it, and writes it then, because a call waits for a
// reply after every flush. It is for one goroutine at a time.
type bufferedConn struct {
	*timedConn
	in  *bufio.Reader
	out *bufio.Writer
}

func newBufferedConn(conn net.Conn) bufferedConn {
	timed := &timedConn{Conn: conn}
	return bufferedConn{timed, bufio.NewReaderSize(timed, bufferSize), bufio.NewWriterSize(timed, bufferSize)}
}

func (c bufferedConn) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c bufferedConn) Read(p []byte) (int, error) {
	if c.out.Buffered() > 0 {
		if err := c.out.Flush(); err != nil {
			return 0, err
		}
	}
	return c.in.Read(p)
}

// timedConn sets a deadline when there is something to wait for: redigo sets one for each command and each reply.
type timedConn struct {
	net.Conn
	read, write time.Time
}

func (c *timedConn) SetReadDeadline(t time.Time) error {
	c.read = t
	return nil
}

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	c.write = t
	return nil
}

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(c.read); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(c.write); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
