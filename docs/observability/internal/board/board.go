// Package board reads the dashboard and the alerts.
package board

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Panel is one of a Grafana dashboard.
type Panel struct {
	ID          int
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	Targets []Target
}

// A Target is a query of a Panel.
type Target struct {
	RefID        string `json:"refId"`
	Expr         string
	LegendFormat string
}

// Panels returns those of a dashboard.
func Panels(file string) ([]Panel, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var dashboard struct{ Panels []Panel }
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return dashboard.Panels, nil
}

// Query returns the query with what Grafana puts into it: all jobs, and how far a rate looks back.
func (t Target) Query(rateInterval time.Duration) string {
	return strings.NewReplacer(
		"$__rate_interval", fmt.Sprintf("%ds", int(rateInterval.Seconds())),
		"$job", ".*",
	).Replace(t.Expr)
}

// Legend returns the name of a line.
func (t Target) Legend(label func(name string) string) string {
	legend := t.LegendFormat
	for {
		before, rest, ok := strings.Cut(legend, "{{")
		name, after, closed := strings.Cut(rest, "}}")
		if !ok || !closed {
			return legend
		}
		legend = before + label(name) + after
	}
}

// An Alert is a rule of Prometheus.
type Alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

// Alerts returns those of a file of rules.
func Alerts(file string) ([]Alert, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rules struct {
		Groups []struct{ Rules []Alert }
	}
	if err := yaml.Unmarshal(raw, &rules); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var all []Alert
	for _, group := range rules.Groups {
		all = append(all, group.Rules...)
	}
	return all, nil
}
