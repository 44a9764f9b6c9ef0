package compared

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestLinksOfTheTableLeadToTheExperiments(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\n\| \[([^]]+)\]\(docs/compared/(\w+\.go)\)`).FindAllStringSubmatch(string(text), -1)
	for _, link := range links {
		code, err := os.ReadFile(link[2])
		if err != nil {
			t.Error(err)
		}
		if row := link[1]; !strings.Contains(string(code), `compare(t, "`+row+`"`) &&
			!strings.Contains(string(code), "compare(t, `"+row+"`") {
			t.Errorf("%s has no experiment for %q", link[2], link[1])
		}
	}
	if len(links) != 11 {
		t.Errorf("%d rows have an experiment, want 11", len(links))
	}
}
