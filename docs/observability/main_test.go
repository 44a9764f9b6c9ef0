package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/sessionkv/session/docs/observability/internal/board"
	"github.com/sessionkv/session/docs/observability/internal/demo"
	"github.com/sessionkv/session/docs/observability/internal/prometheus"
)

func panels(t *testing.T) []board.Panel {
	t.Helper()
	panels, err := board.Panels("dashboard.json")
	if err != nil || len(panels) == 0 {
		t.Fatal(len(panels), err)
	}
	return panels
}

func alerts(t *testing.T) []board.Alert {
	t.Helper()
	alerts, err := board.Alerts("alerts.yaml")
	if err != nil || len(alerts) == 0 {
		t.Fatal(len(alerts), err)
	}
	return alerts
}

// Grafana's own types refuse a member that the schema does not have.
func TestDashboardIsOneOfGrafana(t *testing.T) {
	raw, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 a file of the newer kind cannot be imported into the Grafanas of today
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" { // an empty list of faults is none
		t.Error(err)
	}
	if current := dashboard.NewDashboard().SchemaVersion; d.SchemaVersion != current {
		t.Errorf("schema %d, and Grafana's is %d", d.SchemaVersion, current)
	}
	if n := bytes.Count(raw, []byte(`"uid": "${datasource}"`)); n != bytes.Count(raw, []byte(`"type": "prometheus"`)) || n == 0 {
		t.Errorf("a data source that is not the variable's")
	}
}

func TestPanelsStandSideBySide(t *testing.T) {
	ids, taken := make(map[int]bool), make(map[[2]int]string)
	for _, p := range panels(t) {
		if ids[p.ID] || p.ID == 0 || p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%+v", p)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[place]; ok {
					t.Fatalf("%q is on top of %q", p.Title, other)
				}
				taken[place] = p.Title
			}
		}
	}
}

// needPrometheus skips where a developer has none.
func needPrometheus(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no prometheus; Debian has it in the package of this name")
	}
}

// watched returns a Prometheus that has seen the demo under load, and the address of the demo.
func watched(t *testing.T) (*prometheus.Server, string) {
	t.Helper()
	needPrometheus(t)
	d, err := demo.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	shop := httptest.NewServer(d.Handler)
	t.Cleanup(shop.Close)
	server, err := prometheus.Start(t.Context(), ".", shop.Listener.Addr().String(), 250*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	load := demo.NewLoad(shop.URL)
	visit := func(from, to int) {
		for i := from; i < to; i++ {
			load.Visit(t.Context(), i)
		}
		waitForScrape(t, server)
	}
	visit(0, 8)
	d.Link.Break()
	visit(8, 16)
	for round := range 2 { // a rate does not see the first error of a series
		d.Link.Cut()
		visit(0, 24)
		d.Link.Mend()
		visit(16+40*round, 16+40*(round+1))
		d.Link.Break()
		visit(96, 100)
	}
	return server, shop.URL
}

// waitForScrape waits until Prometheus has scraped once more.
func waitForScrape(t *testing.T, server *prometheus.Server) {
	t.Helper()
	now := float64(time.Now().UnixMilli()) / 1000
	for !(number(ask(t, server, `timestamp(sessionkv_sign_ins_total)`)) > now) { // also while there is none
		time.Sleep(50 * time.Millisecond)
	}
}

func ask(t *testing.T, server *prometheus.Server, query string) []prometheus.Series {
	t.Helper()
	all, err := server.Now(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// number returns the largest of what a query has given, NaN for nothing.
func number(all []prometheus.Series) float64 {
	largest := math.NaN()
	for _, s := range all {
		if v := s.Points[0].Value; math.IsNaN(largest) || v > largest {
			largest = v
		}
	}
	return largest
}

var comparison = regexp.MustCompile(`^(.+) > [0-9.]+$`)

// measured returns what a query of an alert compares.
func measured(expr string) string {
	if found := comparison.FindStringSubmatch(expr); found != nil {
		return found[1]
	}
	return strings.TrimSuffix(strings.TrimPrefix(expr, "absent("), ")")
}

func TestEveryQueryGivesNumbersUnderLoad(t *testing.T) {
	server, base := watched(t)
	shown := metrics(t, base)
	check := func(t *testing.T, query string) {
		for _, word := range regexp.MustCompile(`sessionkv_\w+`).FindAllString(query, -1) {
			if !slices.Contains(shown, word) {
				t.Errorf("/metrics has no %s, which is in %s", word, query)
			}
		}
		if n := number(ask(t, server, query)); math.IsNaN(n) || n <= 0 {
			t.Errorf("%v from %s", n, query)
		}
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			t.Run(p.Title+"/"+target.RefID, func(t *testing.T) { check(t, target.Query(time.Minute)) })
		}
	}
	rules, err := server.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		t.Run(a.Alert, func(t *testing.T) {
			if fault, ok := rules[a.Alert]; !ok || fault != "" {
				t.Errorf("in Prometheus: %v, %s", ok, fault)
			}
			if a.Annotations["summary"] == "" || a.Labels["severity"] == "" {
				t.Errorf("%+v", a)
			}
			if a.Alert != "SessionValuesInvalid" { // of which the load makes none
				check(t, measured(a.Expr))
			}
		})
	}
	for name, want := range map[string]bool{"SessionLoadsFail": true, "SessionSavesFail": true, "SessionMetricsMissing": false} {
		i := slices.IndexFunc(alerts(t), func(a board.Alert) bool { return a.Alert == name })
		if fires := len(ask(t, server, alerts(t)[i].Expr)) > 0; fires != want {
			t.Errorf("after the link was cut, %s fires: %v", name, fires)
		}
	}
}

// metrics returns the names of the metrics and of their labels.
func metrics(t *testing.T, base string) (names []string) {
	t.Helper()
	response, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(body.String(), "\n") {
		if !strings.HasPrefix(line, "#") {
			names = append(names, regexp.MustCompile(`sessionkv_\w+`).FindAllString(line, -1)...)
		}
	}
	return names
}

func TestProgramServesUntilItIsTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, writer, "127.0.0.1:0", "", true) }()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	names := metrics(t, strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(line, "metrics: ")), "/metrics"))
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !slices.Contains(names, "sessionkv_sign_ins_total") {
		t.Errorf("%q", names)
	}
}
