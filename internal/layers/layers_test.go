// Package layers has a test that holds packages to their order: the files of a package do not refer to each other in a
// circle, so that each can be read with nothing in mind but those below it; and no function or file is too long to be
// read at once.
package layers

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunction = 50  // lines
	maxFile     = 400 // lines
)

// folders are those of the packages that keep the order.
var folders = []string{
	".",
	"boltstore",      // a module of its own
	"cmd/sessionctl", // a module of its own
	"driver",
	"internal/object",
	"internal/record",
	"internal/redistest",
	"internal/testkit",
	"internal/token",
	"internal/value",
	"memstore",
	"redisstore",
	"redisstore/goredis", // a module of its own
	"sessionotel",        // and another
	"sessiontest",
	"storetest",
}

func TestLayers(t *testing.T) {
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join("../..", folder)); err != nil {
				t.Skip("without a clone of the repository there are no other modules")
			}
			p := load(t, filepath.Join("../..", folder))
			for _, circle := range circles(p.arrows()) {
				t.Errorf("%s refer to each other:\n%s", strings.Join(circle, ", "), strings.Join(p.reasons(circle), "\n"))
			}
			for _, length := range p.lengths() {
				t.Error(length)
			}
		})
	}
}

// A unit is a package with its types, without its tests.
type unit struct {
	set   *token.FileSet
	files []*ast.File
	info  *types.Info
	own   *types.Package
}

// load reads the package in dir. What it imports comes from the compiler, which the go command asks.
func load(t *testing.T, dir string) *unit {
	t.Helper()
	command := exec.Command("go", "list", "-export", "-json=Dir,ImportPath,GoFiles,Export", "-deps", ".")
	command.Dir = dir
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	type listed struct {
		Dir, ImportPath, Export string
		GoFiles                 []string
	}
	var last listed // the package itself comes after what it needs
	exports := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var next listed
		if err := decoder.Decode(&next); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[next.ImportPath], last = next.Export, next
	}
	u := &unit{set: token.NewFileSet(), info: &types.Info{Uses: map[*ast.Ident]types.Object{}}}
	for _, name := range last.GoFiles {
		file, err := parser.ParseFile(u.set, filepath.Join(last.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		u.files = append(u.files, file)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(u.set, "gc", lookup)}
	if u.own, err = config.Check(last.ImportPath, u.set, u.files, u.info); err != nil {
		t.Fatal(err)
	}
	return u
}

// fileOf is the name of the file of a position.
func (u *unit) fileOf(pos token.Pos) string { return filepath.Base(u.set.Position(pos).Filename) }

// uses calls fn for each name that a file uses and another one declares: types, functions, methods, fields, constants and
// variables.
func (u *unit) uses(fn func(from, to string, name *ast.Ident)) {
	for name, object := range u.info.Uses {
		if object.Pkg() != u.own {
			continue
		}
		if from, to := u.fileOf(name.Pos()), u.fileOf(object.Pos()); from != to {
			fn(from, to, name)
		}
	}
}

// arrows are the files that each file uses.
func (u *unit) arrows() map[string]map[string]bool {
	arrows := map[string]map[string]bool{}
	u.uses(func(from, to string, _ *ast.Ident) {
		if arrows[from] == nil {
			arrows[from] = map[string]bool{}
		}
		arrows[from][to] = true
	})
	return arrows
}

// reasons are the arrows between the files of a circle, with the names that they stand for.
func (u *unit) reasons(circle []string) []string {
	names := map[string][]string{}
	u.uses(func(from, to string, name *ast.Ident) {
		if slices.Contains(circle, from) && slices.Contains(circle, to) {
			arrow := from + " → " + to
			names[arrow] = append(names[arrow], name.Name)
		}
	})
	var reasons []string
	for _, arrow := range slices.Sorted(maps.Keys(names)) {
		slices.Sort(names[arrow])
		reasons = append(reasons, arrow+": "+strings.Join(slices.Compact(names[arrow]), ", "))
	}
	return reasons
}

// circles are the groups of files each of which leads to each other.
func circles(arrows map[string]map[string]bool) (circles [][]string) {
	reached := map[string]map[string]bool{}
	for file := range arrows {
		reached[file] = map[string]bool{}
		reach(arrows, file, reached[file])
	}
	seen := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(arrows)) {
		var circle []string
		for other := range reached[file] {
			if reached[other][file] && !seen[other] {
				circle, seen[other] = append(circle, other), true
			}
		}
		if len(circle) > 1 {
			slices.Sort(circle)
			circles = append(circles, circle)
		}
	}
	return circles
}

// reach adds to found what arrows lead to from a file.
func reach(arrows map[string]map[string]bool, file string, found map[string]bool) {
	for next := range arrows[file] {
		if !found[next] {
			found[next] = true
			reach(arrows, next, found)
		}
	}
}

// lengths says which functions and files are too long.
func (u *unit) lengths() (faults []string) {
	for _, file := range u.files {
		if lines := u.set.Position(file.FileEnd).Line; lines > maxFile {
			faults = append(faults, fmt.Sprintf("%s has %d lines; %d are allowed", u.fileOf(file.Package), lines, maxFile))
		}
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := u.set.Position(function.End()).Line - u.set.Position(function.Pos()).Line + 1; lines > maxFunction {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines; %d are allowed",
					u.fileOf(function.Pos()), function.Name.Name, lines, maxFunction))
			}
		}
	}
	return faults
}

func TestCircles(t *testing.T) {
	arrows := map[string]map[string]bool{
		"a": {"b": true, "d": true}, "b": {"c": true}, "c": {"a": true}, "d": {"e": true}, "e": {}, "f": {"g": true}, "g": {"f": true},
	}
	if got := fmt.Sprint(circles(arrows)); got != "[[a b c] [f g]]" {
		t.Errorf("circles %s", got)
	}
}
