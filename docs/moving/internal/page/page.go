// Package page checks the tables of a page against code that is compiled.
package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var span = regexp.MustCompile("`([^`]+)`")

// Check wants each code in the first two columns of the tables of README.md to be in a test beside it, where spaces do
// not count. It wants code in that many rows.
func Check(t *testing.T, rows int) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		code.WriteString(read(t, file))
	}
	compiled := strings.Join(strings.Fields(code.String()), " ")
	checked := 0
	for line := range strings.Lines(read(t, "README.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		calls := span.FindAllStringSubmatch(cells[1]+cells[2], -1)
		for _, call := range calls {
			if !strings.Contains(compiled, call[1]) {
				t.Errorf("no test has %s", call[1])
			}
		}
		if len(calls) > 0 {
			checked++
		}
	}
	if checked != rows {
		t.Errorf("%d rows have code, want %d", checked, rows)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
