package batchapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/rest"
)

// versions are well formed as 2024-07-01.20.0 or, since 2025, 2025-06-01.
var versions = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(\.\d+\.\d+)?$`)

// oldest is the first version whose shapes this door has.
const oldest = "2020-09-01"

// check refuses requests whose version the door does not know, and senseless time-outs.
func (d *Door) check(r *http.Request) error {
	version := rest.Query(r, "api-version")
	if version == "" {
		return fault.MissingRequiredQuery.New("The query parameter 'api-version' is required.").With("QueryParameterName", "api-version")
	}
	m := versions.FindStringSubmatch(version)
	if m == nil || m[1] < oldest {
		return badQuery("api-version", version, "The api-version is not supported.")
	}
	if _, err := time.Parse(time.DateOnly, m[1]); err != nil {
		return badQuery("api-version", version, "The api-version is not supported.")
	}
	if s := rest.Query(r, "timeout"); s != "" {
		if n, err := strconv.Atoi(s); err != nil || n < 0 {
			return badQuery("timeout", s, "The time-out must be a number of seconds.")
		}
	}
	return nil
}

func badQuery(name, value, reason string) *fault.Fault {
	return fault.InvalidQueryParameter.New("The value of the query parameter '%s' is invalid. %s", name, reason).
		With("QueryParameterName", name).With("QueryParameterValue", value).With("Reason", reason)
}

// selection returns the properties that $select names; nil means all.
func selection(r *http.Request, of reflect.Type) ([]string, error) {
	text := rest.Query(r, "$select")
	if text == "" {
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		// What lies below a property is selected with it.
		name, _, _ = strings.Cut(name, "/")
		if _, ok := property(of, name); !ok && !isUnbuilt(of, name) {
			return nil, badQuery("$select", text, fmt.Sprintf("There is no property %q.", name))
		}
		names = append(names, name)
	}
	return names, nil
}

// cut writes v with the properties named only; nil keeps all.
func cut(v any, names []string) (map[string]any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a reply: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("cutting a reply: %w", err)
	}
	out := map[string]any{}
	for name, value := range all {
		out[name] = value
	}
	if names == nil {
		return out, nil
	}
	kept := map[string]any{}
	for _, name := range names {
		for have, value := range out {
			if strings.EqualFold(name, have) {
				kept[have] = value
			}
		}
	}
	return kept, nil
}

// selected turns v into what $select asks for.
func selected(r *http.Request, v any) (map[string]any, error) {
	names, err := selection(r, reflect.TypeOf(v))
	if err != nil {
		return nil, err
	}
	return cut(v, names)
}

// list answers with a page of things: set is the name of their kind in metadata, out
// writes one as it travels, and fetch gets them.
func list[T, W any](r *http.Request, set string, out func(T) W, fetch func(batch.List[T]) ([]T, string, error)) (rest.Reply, error) {
	l := batch.List[T]{After: rest.Query(r, "$skiptoken")}
	if s := rest.Query(r, "maxresults"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return rest.Reply{}, badQuery("maxresults", s, "It must be a number from 1 to 1000.")
		}
		if n < 1 || n > 1000 {
			return rest.Reply{}, fault.OutOfRangeQueryParameter.New("The value of the query parameter 'maxresults' is out of range.").
				With("QueryParameterName", "maxresults").With("QueryParameterValue", s).
				With("MinimumAllowed", "1").With("MaximumAllowed", "1000")
		}
		l.Max = n
	}
	kind := reflect.TypeFor[W]()
	if text := rest.Query(r, "$filter"); text != "" {
		keep, err := parseFilter(text, kind)
		if err != nil {
			return rest.Reply{}, badQuery("$filter", text, err.Error())
		}
		l.Keep = func(v T) bool { return keep(reflect.ValueOf(out(v))) }
	}
	names, err := selection(r, kind)
	if err != nil {
		return rest.Reply{}, err
	}
	page, next, err := fetch(l)
	if err != nil {
		return rest.Reply{}, err
	}
	type body struct {
		Metadata string `json:"odata.metadata"`
		Value    []any  `json:"value"`
		Next     string `json:"odata.nextLink,omitempty"`
	}
	b := body{Metadata: account(r).URL + "/$metadata#" + set, Value: make([]any, len(page))}
	for i, v := range page {
		b.Value[i] = out(v)
		if names != nil {
			if b.Value[i], err = cut(out(v), names); err != nil {
				return rest.Reply{}, err
			}
		}
	}
	if next != "" {
		query := url.Values{}
		for name, values := range r.URL.Query() {
			query[name] = values
		}
		query.Set("$skiptoken", next)
		b.Next = account(r).URL + r.URL.EscapedPath() + "?" + query.Encode()
	}
	return rest.OK(b).With("Content-Type", contentType), nil
}
