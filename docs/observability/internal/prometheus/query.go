package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Series is a line of what a query gives.
type Series struct {
	Labels map[string]string
	Points []Point
}

// A Point is a value at a time. A value may be NaN.
type Point struct {
	Time  time.Time
	Value float64
}

// Now returns what a query gives now, with one Point each.
func (s *Server) Now(ctx context.Context, query string) ([]Series, error) {
	return s.ask(ctx, "/api/v1/query", url.Values{"query": {query}})
}

// Over returns what a query gives from one time to another.
func (s *Server) Over(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, error) {
	return s.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {fmt.Sprint(step.Seconds())},
	})
}

// Rules returns the names of the alerts that the server has, each with what is wrong with its query, "" for nothing.
func (s *Server) Rules(ctx context.Context) (map[string]string, error) {
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, LastError string }
		}
	}
	if err := s.get(ctx, "/api/v1/rules", nil, &answer); err != nil {
		return nil, err
	}
	rules := make(map[string]string)
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			rules[rule.Name] = rule.LastError
		}
	}
	return rules, nil
}

func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}

// A sample is a pair of seconds and a number in quotes.
type sample [2]any

func (p sample) point() (Point, error) {
	at, _ := p[0].(float64)
	text, _ := p[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	return Point{time.UnixMilli(int64(at * 1000)), value}, err
}

func (s *Server) ask(ctx context.Context, path string, query url.Values) ([]Series, error) {
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  *sample
			Values []sample
		}
	}
	if err := s.get(ctx, path, query, &answer); err != nil {
		return nil, err
	}
	all := make([]Series, len(answer.Result))
	for i, result := range answer.Result {
		all[i].Labels = result.Metric
		if result.Value != nil {
			result.Values = append(result.Values, *result.Value)
		}
		for _, sample := range result.Values {
			point, err := sample.point()
			if err != nil {
				return nil, err
			}
			all[i].Points = append(all[i].Points, point)
		}
	}
	return all, nil
}

// get asks for the member data of an answer.
func (s *Server) get(ctx context.Context, path string, query url.Values, data any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", query.Get("query"), answer.Error)
	}
	return nil
}
