package goser_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/goser-project/goser"

// importRule says what the packages at Path may import besides the standard library and their own internal packages.
type importRule struct {
	Path  string   // relative to the module, and what is below it; "x/..." is only what is below; a longer Path goes first
	Local []string // packages of this module; "x/..." is x and everything below
	Other []string // modules of others
	Why   string   // the reason given when a test fails
}

const anything = "..."

// importRules are the layers of the module. Files of all build constraints count, test files do not.
var importRules = []importRule{
	{Path: ".", Why: "the root package is documentation"},
	{Path: "sip", Why: "sip is the vocabulary of everything else and must build with the standard library alone"},
	{Path: "sip/sdp", Why: "sdp is read and edited by programs that have no SIP; it needs the standard library only"},
	{Path: "transport", Other: []string{"golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys"},
		Why: "transport frames streams through a split function, so it knows nothing of SIP"},
	{Path: "transaction", Local: []string{"sip", "transport"}, Other: []string{"golang.org/x/sync"},
		Why: "transaction sends through an interface that it declares itself, and knows no proxy"},
	{Path: "routing", Local: []string{"sip", "transport", "transaction"}, Other: []string{"golang.org/x/sync"},
		Why: "the proxy core reaches components through small interfaces, so that each is useful without the other"},
	{Path: "routing/...", Local: []string{"sip"}, Other: []string{"golang.org/x/sync"},
		Why: "choosing targets is computation on URIs; it must work without the proxy core"},
	{Path: "auth", Local: []string{"sip"}, Why: "credentials are checked on messages, wherever these came from"},
	{Path: "registrar", Local: []string{"sip", "transport"}, Other: []string{"golang.org/x/sync"},
		Why: "the registrar answers requests by itself and must work in any server"},
	{Path: "registrar/registrartest", Local: []string{"registrar", "sip", "transport"},
		Other: []string{"github.com/stretchr/testify"},
		Why:   "the conformance suite of location stores is for stores outside this module too"},
	{Path: "dialog", Local: []string{"sip", "transport"}, Other: []string{"golang.org/x/sync"},
		Why: "dialogs are tracked from messages and flows, in any server"},
	{Path: "nat", Local: []string{"sip", "sip/sdp", "transport"}, Why: "NAT traversal edits messages and uses flows, in any server"},
	{Path: "ratelimit", Why: "a limiter counts keys; it needs the standard library only"},
	{Path: "blacklist", Why: "a list of prefixes needs the standard library only"},
	{Path: "db", Local: []string{"sip", "transport", "auth", "registrar", "dialog", "blacklist", "routing/..."}, Other: []string{anything},
		Why: "stores depend on what they store, never on the proxy core or on tests"},
	{Path: "siptest", Local: []string{anything}, Other: []string{anything}},
	{Path: "sipgobridge", Local: []string{anything}, Other: []string{anything}},
	{Path: "hostile", Local: []string{anything}, Other: []string{anything}},
	{Path: "examples/...", Local: []string{anything}, Other: []string{anything}},
	{Path: "benchmarks", Local: []string{anything}, Other: []string{anything}},
	{Path: "interop", Local: []string{anything}, Other: []string{anything}},
}

func TestImports(t *testing.T) {
	imports := packages(t, isCode)
	require.NotEmpty(t, imports)
	for dir, files := range imports {
		rule, ok := ruleOf(dir)
		if !ok {
			t.Errorf("package %s has no rule in importRules: add one that says what it may import, and why", dir)
			continue
		}
		for file, paths := range files {
			for _, p := range paths {
				if !rule.allows(p) {
					t.Errorf("%s imports %s, which %s may not: %s", path.Join(dir, file), p, dir, rule.Why)
				}
			}
		}
	}
}

func TestImportRulesRefuse(t *testing.T) {
	for _, c := range []struct {
		dir, path string
		allowed   bool
	}{
		{"sip", "strings", true},
		{"sip", "golang.org/x/sync/errgroup", false},
		{"sip", module + "/transport", false},
		{"sip/internal/scan", "github.com/stretchr/testify/require", false},
		{"sip", module + "/sip/internal/scan", true},
		{"transport", "golang.org/x/net/ipv4", true},
		{"transport", "golang.org/x/network", false},
		{"transport", module + "/sip", false},
		{"routing", module + "/transaction", true},
		{"routing", module + "/registrar", false},
		{"routing/carrier", module + "/sip", true},
		{"routing/carrier", module + "/routing", false},
		{"registrar", module + "/siptest", false},
		{"registrar", module + "/registrar/registrartest", false},
		{"registrar/registrartest", "github.com/stretchr/testify/require", true},
		{"db/postgres", module + "/routing/carrier", true},
		{"db/postgres", module + "/siptest", false},
		{"examples/sipserver", module + "/siptest", true},
	} {
		rule, ok := ruleOf(c.dir)
		require.True(t, ok, c.dir)
		require.Equal(t, c.allowed, rule.allows(c.path), "%s imports %s", c.dir, c.path)
	}
	_, ok := ruleOf("elsewhere")
	require.False(t, ok)
}

func TestPackagesAreDocumented(t *testing.T) {
	for dir, files := range packages(t, isCode) {
		home, documented := "doc.go", false
		for file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			require.NoError(t, err)
			if f.Name.Name == "main" {
				home = "main.go"
			}
			documented = documented || file == home && f.Doc != nil
		}
		if !documented {
			t.Errorf("package %s says nothing about itself: the package comment belongs in %s", dir, path.Join(dir, home))
		}
	}
}

// Waiting is for events: a test that sleeps is slow on every machine and wrong on a busy one. In a synctest bubble a
// sleep takes no time, so packages whose tests use bubbles may.
func TestTestsDoNotSleep(t *testing.T) {
	for dir, files := range packages(t, func(name string) bool { return !isCode(name) }) {
		bubbles := false
		for _, paths := range files {
			bubbles = bubbles || slices.Contains(paths, "testing/synctest")
		}
		if bubbles {
			continue
		}
		for file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, 0)
			require.NoError(t, err)
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
						t.Errorf("%s sleeps outside a synctest bubble", path.Join(dir, file))
					}
				}
				return true
			})
		}
	}
}

func isCode(name string) bool { return !strings.HasSuffix(name, "_test.go") }

// ruleOf finds the rule for the package in dir: the one that names it, else that of the nearest folder above.
func ruleOf(dir string) (importRule, bool) {
	candidates := []string{dir}
	for d := path.Dir(dir); d != "."; d = path.Dir(d) {
		candidates = append(candidates, d+"/...", d)
	}
	for _, c := range candidates {
		if i := slices.IndexFunc(importRules, func(r importRule) bool { return r.Path == c }); i >= 0 {
			return importRules[i], true
		}
	}
	return importRule{}, false
}

func (r importRule) allows(imported string) bool {
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	local, ok := strings.CutPrefix(imported, module)
	if !ok {
		return slices.ContainsFunc(r.Other, func(m string) bool { return m == anything || within(imported, m) })
	}
	local = strings.TrimPrefix(local, "/")
	if within(local, path.Join(strings.TrimSuffix(r.Path, "/..."), "internal")) {
		return true
	}
	return slices.ContainsFunc(r.Local, func(p string) bool {
		tree, wildcard := strings.CutSuffix(p, "/...")
		return p == anything || local == p || wildcard && within(local, tree)
	})
}

func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

// packages returns the imports of each Go file of the module that want accepts, by directory and file name.
func packages(t *testing.T, want func(name string) bool) map[string]map[string][]string {
	found := map[string]map[string][]string{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p == "." {
				return nil
			}
			_, err := os.Stat(filepath.Join(p, "go.mod"))
			if err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || !want(name) {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(p))
		if found[dir] == nil {
			found[dir] = map[string][]string{}
		}
		paths := []string{}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			paths = append(paths, imported)
		}
		found[dir][name] = paths
		return nil
	})
	require.NoError(t, err)
	return found
}
