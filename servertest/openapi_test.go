package servertest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// specsDir returns the directory of Azure's OpenAPI documents. They are Microsoft's
// and not part of this repository, so a machine without them leaves these tests out;
// where the project checks itself they must be there.
func specsDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LATCHKEY_SPECS")
	if dir == "" {
		const why = "LATCHKEY_SPECS is not set: it names a directory with Azure's OpenAPI documents, to which answers are compared"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip("left out: " + why)
	}
	return filepath.Join(dir, "specification")
}

// A library reads documents and the documents that they refer to, each once.
type library struct {
	dir   string
	files map[string]map[string]any
}

// A node is a part of a document. It knows its file, because references in it are
// relative to that.
type node struct {
	lib  *library
	file string
	m    map[string]any
}

func (l *library) read(file string) (map[string]any, error) {
	if m, ok := l.files[file]; ok {
		return m, nil
	}
	b, err := os.ReadFile(filepath.Join(l.dir, file))
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if l.files == nil {
		l.files = map[string]map[string]any{}
	}
	l.files[file] = m
	return m, nil
}

// node returns m with its reference followed. A part that is not an object is an
// empty one.
func (n node) node(v any) node {
	m, _ := v.(map[string]any)
	out := node{n.lib, n.file, m}
	for range 20 {
		ref, ok := out.m["$ref"].(string)
		if !ok {
			return out
		}
		file, pointer, _ := strings.Cut(ref, "#")
		if file == "" {
			file = out.file
		} else {
			file = filepath.Join(filepath.Dir(out.file), file)
		}
		root, err := n.lib.read(file)
		if err != nil {
			panic(fmt.Sprintf("following %s in %s: %v", ref, out.file, err))
		}
		at := any(root)
		for word := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
			word = strings.NewReplacer("~1", "/", "~0", "~").Replace(word)
			m, _ := at.(map[string]any)
			at = m[word]
		}
		m, ok := at.(map[string]any)
		if !ok {
			panic(fmt.Sprintf("following %s in %s: nothing there", ref, out.file))
		}
		out = node{n.lib, file, m}
	}
	panic("references without an end in " + n.file)
}

func (n node) get(name string) node    { return n.node(n.m[name]) }
func (n node) text(name string) string { s, _ := n.m[name].(string); return s }
func (n node) is(name string) bool     { b, _ := n.m[name].(bool); return b }
func (n node) list(name string) []any  { l, _ := n.m[name].([]any); return l }

func (n node) number(name string) (float64, bool) { f, ok := n.m[name].(float64); return f, ok }

// An apiOperation is one operation of a document.
type apiOperation struct {
	node
	id, method, path string
	parameters       []node
}

// An api is what one api-version of a service offers, from one or more documents.
type api struct {
	version    string
	operations map[string]apiOperation
}

// readAPI reads documents, whose names are relative to the directory of all.
func readAPI(t testing.TB, version string, files ...string) *api {
	t.Helper()
	lib := &library{dir: specsDir(t)}
	a := &api{version: version, operations: map[string]apiOperation{}}
	for _, file := range files {
		root, err := lib.read(file)
		if err != nil {
			t.Fatalf("reading the documents: %v", err)
		}
		top := node{lib, file, root}
		for _, under := range []string{"paths", "x-ms-paths"} {
			paths := top.get(under)
			for path, v := range paths.m {
				at := top.node(v)
				for method, v := range at.m {
					if method == "parameters" {
						continue
					}
					op := apiOperation{node: top.node(v), method: strings.ToUpper(method), path: path}
					op.id = op.text("operationId")
					for _, p := range append(slices.Clone(at.list("parameters")), op.list("parameters")...) {
						op.parameters = append(op.parameters, top.node(p))
					}
					a.operations[op.id] = op
				}
			}
		}
	}
	return a
}

// names lists the operations in order.
func (a *api) names() []string { return slices.Sorted(maps.Keys(a.operations)) }

var placeholder = regexp.MustCompile(`\{([^}]+)\}`)

// address fills in an operation's path. What is left over goes into the query, and so
// does the api-version.
func (a *api) address(op apiOperation, base string, values map[string]string) (string, error) {
	values = maps.Clone(values)
	var missing []string
	path := placeholder.ReplaceAllStringFunc(op.path, func(s string) string {
		name := s[1 : len(s)-1]
		v, ok := values[name]
		if !ok {
			missing = append(missing, name)
			return s
		}
		delete(values, name)
		for _, p := range op.parameters {
			if p.text("name") == name && p.is("x-ms-skip-url-encoding") {
				return strings.Trim(v, "/")
			}
		}
		return url.PathEscape(v)
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: no value for %s", op.id, strings.Join(missing, ", "))
	}
	path, fixed, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(fixed)
	if err != nil {
		return "", err
	}
	query.Set("api-version", a.version)
	for name, v := range values {
		// What other operations have in their paths may be given to every operation.
		if op.takes(name, "query") {
			query.Set(name, v)
		}
	}
	return strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(path, "/") + "?" + query.Encode(), nil
}

// takes reports whether an operation has a parameter in its path, query or header.
func (op apiOperation) takes(name, in string) bool {
	return slices.ContainsFunc(op.parameters, func(p node) bool { return p.text("name") == name && p.text("in") == in })
}

// An allowance says where answers may differ from the documents: hold a property that
// they do not have, or null, or leave out what they require.
type allowance func(path string) bool

// check compares an answer with what the operation's document says of its status: the
// status itself, the headers, the body.
func (op apiOperation) check(resp answer, allowed allowance) []string {
	responses := op.get("responses")
	declared, ok := responses.m[fmt.Sprint(resp.status)]
	if !ok {
		if declared, ok = responses.m["default"]; !ok || resp.status < 400 {
			return []string{fmt.Sprintf("status %d is not declared, only %v", resp.status, slices.Sorted(maps.Keys(responses.m)))}
		}
	}
	r := responses.node(declared)
	problems := checkHeaders(r.get("headers"), resp.header)
	_, hasSchema := r.m["schema"]
	schema := r.get("schema")
	switch {
	case !hasSchema && len(resp.body) > 0 && resp.status < 400:
		return append(problems, fmt.Sprintf("a body of %d bytes where none is declared", len(resp.body)))
	case !hasSchema || op.method == http.MethodHead:
		return problems
	case schema.text("type") == "file" || schema.text("format") == "file":
		return problems
	case len(resp.body) == 0:
		return append(problems, "no body where one is declared")
	}
	v, err := decodeExactly(resp.body)
	if err != nil {
		return append(problems, err.Error())
	}
	c := checker{allowed: allowed}
	c.check(schema, v, "body")
	return append(problems, c.problems...)
}

func checkHeaders(declared node, have http.Header) []string {
	var problems []string
	for name := range declared.m {
		h := declared.get(name)
		v := have.Get(name)
		if v == "" {
			continue // which of them are there is the scenario's affair
		}
		if why := badFormat(h.text("format"), v); why != "" {
			problems = append(problems, fmt.Sprintf("header %s = %q: %s", name, v, why))
		}
	}
	return problems
}
