package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// Commands returns the commands that the server ran while fn did, from all clients, as upper-case names in their order.
// Those that a script ran are left out. The server must not ask for a password.
func (s *Server) Commands(t testing.TB, fn func()) []string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	read := func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("redistest: MONITOR: %v", err)
		}
		return line
	}
	fmt.Fprint(conn, "MONITOR\r\n")
	read()
	fn()
	marker := fmt.Sprintf("redistest-%p", conn)
	s.Do(t, "ECHO", marker)
	var names []string
	for {
		client, command, _ := strings.Cut(read(), "] ") // +1763801400.123456 [0 127.0.0.1:50000] "ECHO" "marker"
		if strings.Contains(command, marker) {
			return names
		}
		if !strings.HasSuffix(client, " lua") {
			name, _, _ := strings.Cut(strings.TrimPrefix(command, `"`), `"`)
			names = append(names, strings.ToUpper(name))
		}
	}
}
