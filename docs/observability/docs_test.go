package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTextHasTheAlerts(t *testing.T) {
	text := read(t, "README.md")
	for _, a := range alerts(t) {
		if !strings.Contains(text, "### "+a.Alert+"\n\n```promql\n"+a.Expr+"\n```\n") {
			t.Errorf("README.md does not have %s with its query", a.Alert)
		}
	}
	if n := strings.Count(text, "```promql"); n != len(alerts(t)) {
		t.Errorf("README.md has %d queries for %d alerts", n, len(alerts(t)))
	}
}

func TestTextHasThePanels(t *testing.T) {
	text := read(t, "README.md")
	for _, p := range panels(t) {
		if !strings.Contains(text, "\n| "+p.Title+" | ") {
			t.Errorf("README.md does not say what to do about %q", p.Title)
		}
	}
}

var logCall = regexp.MustCompile(`(?s)\.(?:(?:Debug|Info|Warn|Error)Context|Log)\((?:[^"()]|\(\))*"([^"]+)"`)

func TestTextHasTheLogLines(t *testing.T) {
	text := read(t, "README.md")
	count := 0
	for _, folder := range []string{".", "internal/record", "memstore", "redisstore", "redisstore/goredis"} {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, found := range logCall.FindAllStringSubmatch(read(t, file), -1) {
				count++
				if !strings.Contains(text, "\n| `"+found[1]+"` | ") {
					t.Errorf("README.md does not say what to do about %q of %s", found[1], file)
				}
			}
		}
	}
	if count < 9 {
		t.Errorf("only %d log lines were found in the source", count)
	}
}

// decode returns the documents of a YAML.
func decode(t *testing.T, name, text string) (all []map[string]any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var document map[string]any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, document)
	}
}

func TestRecipesAreYAML(t *testing.T) {
	for _, found := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "../deploying.md"), -1) {
		for _, document := range decode(t, "deploying.md", found[1]) {
			if document["apiVersion"] == nil || document["kind"] == nil || document["metadata"] == nil {
				t.Errorf("%v", document)
			}
		}
	}
	for _, name := range []string{"grafana/datasources/prometheus.yaml", "grafana/dashboards/files.yaml"} {
		decode(t, name, read(t, name))
	}
}

// What the Compose file mounts has to be here.
func TestComposeMountsWhatIsThere(t *testing.T) {
	services, _ := decode(t, "compose.yaml", read(t, "compose.yaml"))[0]["services"].(map[string]any)
	mounted := 0
	for name, service := range services {
		volumes, _ := service.(map[string]any)["volumes"].([]any)
		for _, volume := range volumes {
			file, _, _ := strings.Cut(volume.(string), ":")
			if !strings.HasPrefix(file, "./") {
				continue
			}
			mounted++
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if mounted != 5 {
		t.Errorf("%d files are mounted", mounted)
	}
}
