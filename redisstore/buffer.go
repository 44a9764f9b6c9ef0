package redisstore

import (
	"bufio"
	"net"
)

// bufferSize takes a whole batch, or the values of most sessions, in one system call. redigo's own buffers have 4 kB, and
// it writes them out whenever they are full.
const bufferSize = maxBatch

// bufferedConn keeps what it was given until somebody reads from it, and writes it then, because a call waits for a
// reply after every flush. It is for one goroutine at a time.
type bufferedConn struct {
	net.Conn
	in  *bufio.Reader
	out *bufio.Writer
}

func newBufferedConn(conn net.Conn) bufferedConn {
	return bufferedConn{conn, bufio.NewReaderSize(conn, bufferSize), bufio.NewWriterSize(conn, bufferSize)}
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
