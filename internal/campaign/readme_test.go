package campaign

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The code of the README is compiled: a whole program by itself, and a part of one as that of an example, whose output is
// checked.
func TestReadmeShowsCodeThatIsCompiled(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile(filepath.Join(repository, "example_users_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Errorf("the README has %d blocks of Go, want two", len(blocks))
	}
	for _, block := range blocks {
		code := block[1]
		if strings.HasPrefix(code, "package main\n") {
			compile(t, code)
			continue
		}
		if indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(code, "\t$1"); !strings.Contains(string(examples), indented) {
			t.Errorf("example_users_test.go does not have this code of the README:\n%s", code)
		}
		if n := strings.Count(code, "\n"); n >= 40 {
			t.Errorf("%d lines are too many for a beginning", n)
		}
	}
}

func compile(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "main.go")
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), path)
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Each row of the comparison is held by tests that exist.
func TestReadmeComparisonNamesRealTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	_, table, ok := strings.Cut(string(text), "| | session | scs")
	table, _, _ = strings.Cut(table, "\n\n")
	if !ok {
		t.Fatal("the README has no comparison")
	}
	rows := strings.Split(table, "\n")[2:]
	for _, row := range rows {
		cells := strings.Split(row, "|")
		names := regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllStringSubmatch(cells[len(cells)-2], -1)
		if len(names) == 0 {
			t.Errorf("no test is named: %s", row)
		}
		for _, name := range names {
			if !tests[name[1]] {
				t.Errorf("there is no test %s", name[1])
			}
		}
	}
}
