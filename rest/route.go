package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"latchkey/resource"
)

// A route is one row of a door's table.
type route struct {
	pattern string
	method  string
	parts   []part
	words   int
	open    bool
	handler Handler
}

// A part is one segment of a pattern: a word, a value with words around it, or (many)
// a value of any number of segments.
type part struct {
	before, name, behind string
	many                 bool
}

func (d *Door) add(pattern string, h Handler, open bool) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		panic("rest: " + pattern + " is not a route")
	}
	rt := route{pattern: pattern, method: method, open: open, handler: h}
	for _, seg := range segments(path) {
		p := part{before: resource.Fold(seg)}
		if before, rest, ok := strings.Cut(seg, "{"); ok {
			name, behind, ok := strings.Cut(rest, "}")
			if !ok {
				panic("rest: " + pattern + " is not a route")
			}
			name, many := strings.CutSuffix(name, "...")
			p = part{before: resource.Fold(before), name: name, behind: resource.Fold(behind), many: many}
		}
		if p.before != "" {
			rt.words++
		}
		rt.parts = append(rt.parts, p)
	}
	d.routes = append(d.routes, rt)
	slices.SortStableFunc(d.routes, func(a, b route) int { return b.words - a.words })
}

// Routes lists the patterns of the door, those with the most words first.
func (d *Door) Routes() []string {
	patterns := make([]string, len(d.routes))
	for i, rt := range d.routes {
		patterns[i] = rt.pattern
	}
	return patterns
}

func segments(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// match finds the route of a request and sets its path values.
func (d *Door) match(r *http.Request) (*route, error) {
	segs := segments(r.URL.EscapedPath())
	known := false
	for i := range d.routes {
		rt := &d.routes[i]
		if rt.method != r.Method && known {
			continue
		}
		var values []string
		if !fit(rt.parts, segs, &values) {
			continue
		}
		if rt.method != r.Method {
			known = true
			continue
		}
		for i := 0; i < len(values); i += 2 {
			v, err := url.PathUnescape(values[i+1])
			if err != nil {
				return nil, d.cfg.Style.NoRoute.New("the path is not encoded rightly: %v", err)
			}
			r.SetPathValue(values[i], v)
		}
		return rt, nil
	}
	if known {
		return nil, d.cfg.Style.NoMethod.New("")
	}
	return nil, d.cfg.Style.NoRoute.New("")
}

// methods lists what the resource of a request can be asked.
func (d *Door) methods(r *http.Request) []string {
	segs := segments(r.URL.EscapedPath())
	var methods []string
	for _, rt := range d.routes {
		var values []string
		if fit(rt.parts, segs, &values) && !slices.Contains(methods, rt.method) {
			methods = append(methods, rt.method)
		}
	}
	slices.Sort(methods)
	return methods
}

// fit reports whether segments fit a pattern; values collects names and values.
func fit(parts []part, segs []string, values *[]string) bool {
	for i, p := range parts {
		if p.many {
			// As few segments as will do: what follows in the pattern decides.
			for n := 0; n <= len(segs); n++ {
				kept := len(*values)
				*values = append(*values, p.name, strings.Join(segs[:n], "/"))
				if fit(parts[i+1:], segs[n:], values) {
					return true
				}
				*values = (*values)[:kept]
			}
			return false
		}
		if len(segs) == 0 {
			return false
		}
		seg := segs[0]
		segs = segs[1:]
		if p.name == "" {
			if !resource.Equal(seg, p.before) {
				return false
			}
			continue
		}
		if len(seg) <= len(p.before)+len(p.behind) ||
			!resource.Equal(seg[:len(p.before)], p.before) || !resource.Equal(seg[len(seg)-len(p.behind):], p.behind) {
			return false
		}
		*values = append(*values, p.name, seg[len(p.before):len(seg)-len(p.behind)])
	}
	return len(segs) == 0
}
