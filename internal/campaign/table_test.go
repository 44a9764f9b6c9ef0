package campaign

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checklist is what docs/security.md has to say something about.
var checklist = strings.Fields(`A1 A2 A3 A4 A5 A6 A7 B2 B3 B7 C1 C2 C3 C4 C5 C6 C7 C8 D1 D2 D3 D5 D6 D7 D8 D9 D11 E1 E2 E3 E4 E5 E6 E7 E8 E9 E10
	F1 F2 F3 F4 F5 G1 G2 H2 H3 J2 J3 J4 J5 J6`)

// cves are those of other session systems, each to be caught by a test.
var cves = strings.Fields(`CVE-2025-46336 CVE-2025-32441 CVE-2019-16782 CVE-2024-38513 CVE-2022-25896 CVE-2015-5143 CVE-2015-5963
	CVE-2015-5964 CVE-2023-30861 CVE-2024-35220 CVE-2024-31999 CVE-2023-20866 CVE-2023-20862 CVE-2026-39324 CVE-2025-58186`)

// The tables of docs/security.md are complete, without an empty cell, and name tests that exist.
func TestSecurityTableNamesRealTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	name := regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w*`)
	for _, used := range name.FindAllString(string(text), -1) {
		if !tests[used] {
			t.Errorf("there is no test %s", used)
		}
	}
	var rules []string
	mentioned := map[string]bool{}
	width := 0
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
		if !ok {
			width = 0
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if width == 0 {
			width = len(cells)
		}
		if len(cells) != width || slices.Contains(cells, "") {
			t.Errorf("a cell is empty or missing: %s", line)
		}
		switch {
		case slices.Contains(checklist, cells[0]):
			rules = append(rules, cells[0])
			if !name.MatchString(cells[3]) {
				t.Errorf("%s names no test", cells[0])
			}
		case strings.HasPrefix(cells[0], "CVE-"):
			for _, cve := range strings.Split(cells[0], ", ") {
				mentioned[cve] = true
			}
			if !name.MatchString(cells[len(cells)-1]) {
				t.Errorf("%s names no test", cells[0])
			}
		}
	}
	if !slices.Equal(rules, checklist) {
		t.Errorf("the table has the rules %q\nwant %q", rules, checklist)
	}
	for _, cve := range cves {
		if !mentioned[cve] {
			t.Errorf("%s has no row", cve)
		}
	}
}

// testNames returns the names of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	form := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range form.FindAllSubmatch(text, -1) {
			names[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
