package servertest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"latchkey/resource"
)

// A checker compares a JSON value with a Swagger 2.0 schema and collects what does not
// fit.
type checker struct {
	// sent: the value travels to the service, so secrets belong in it.
	sent     bool
	allowed  allowance
	problems []string
}

func (c *checker) say(path, format string, args ...any) {
	c.problems = append(c.problems, path+": "+fmt.Sprintf(format, args...))
}

// decodeExactly reads JSON with its numbers as they are written. A name that comes
// twice in an object, and anything behind the value, is an error.
func decodeExactly(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("something stands behind the body's JSON")
	}
	return v, nil
}

func decodeValue(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			if _, twice := m[name.(string)]; twice {
				return nil, fmt.Errorf("property %q comes twice", name)
			}
			m[name.(string)] = v
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		l := []any{}
		for dec.More() {
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := dec.Token()
		return l, err
	}
	return t, nil
}

// An objectSchema is a schema of an object with everything that allOf adds.
type objectSchema struct {
	properties map[string]node
	required   []string
	// others is the schema of properties that are not named, if open.
	open   bool
	others node
}

func flatten(n node) objectSchema {
	out := objectSchema{properties: map[string]node{}}
	for _, part := range n.list("allOf") {
		base := flatten(n.node(part))
		maps.Copy(out.properties, base.properties)
		out.required = append(out.required, base.required...)
		if base.open {
			out.open, out.others = true, base.others
		}
	}
	properties := n.get("properties")
	for name := range properties.m {
		out.properties[name] = properties.get(name)
		if raw, _ := properties.m[name].(map[string]any); raw["x-ms-secret"] == true || name == "password" {
			// Said beside a reference, it is said of the property. Not every document says
			// it of passwords.
			merged := properties.get(name)
			merged.m = maps.Clone(merged.m)
			merged.m["x-ms-secret"] = true
			out.properties[name] = merged
		}
	}
	for _, name := range n.list("required") {
		out.required = append(out.required, name.(string))
	}
	switch more := n.m["additionalProperties"].(type) {
	case bool:
		out.open = out.open || more
	case map[string]any:
		out.open, out.others = true, n.node(more)
	}
	return out
}

func (c *checker) check(n node, v any, path string) {
	if v == nil {
		if !n.is("x-nullable") && (c.allowed == nil || !c.allowed(path)) {
			c.say(path, "is null; leave it out")
		}
		return
	}
	if values := n.list("enum"); len(values) > 0 && !slices.ContainsFunc(values, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
		c.say(path, "%v is none of %v", v, values)
	}
	kind := n.text("type")
	if kind == "" && (n.m["properties"] != nil || n.m["allOf"] != nil || n.m["additionalProperties"] != nil) {
		kind = "object"
	}
	switch v := v.(type) {
	case map[string]any:
		if kind != "object" && kind != "" {
			c.say(path, "is an object, want %s", kind)
			return
		}
		c.object(n, v, path)
	case []any:
		if kind != "array" {
			c.say(path, "is an array, want %s", kind)
			return
		}
		if most, ok := n.number("maxItems"); ok && len(v) > int(most) {
			c.say(path, "has %d items, most are %v", len(v), most)
		}
		if least, ok := n.number("minItems"); ok && len(v) < int(least) {
			c.say(path, "has %d items, least are %v", len(v), least)
		}
		for i, item := range v {
			c.check(n.get("items"), item, path+"["+strconv.Itoa(i)+"]")
		}
	case string:
		c.text(n, kind, v, path)
	case json.Number:
		c.figure(n, kind, v, path)
	case bool:
		if kind != "boolean" {
			c.say(path, "is a boolean, want %s", kind)
		}
	}
}

func (c *checker) object(n node, v map[string]any, path string) {
	s := flatten(n)
	for _, name := range s.required {
		secret := s.properties[name].is("x-ms-secret") && !c.sent
		if _, ok := v[name]; !ok && !secret && (c.allowed == nil || !c.allowed(path+"."+name)) {
			c.say(path, "lacks %s, which is required", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		at := path + "." + name
		p, ok := s.properties[name]
		switch {
		case ok && !c.sent && p.is("x-ms-secret") && v[name] != nil:
			if c.allowed == nil || !c.allowed(at) {
				c.say(at, "is a secret, which an answer must not hold")
			}
		case ok && c.sent && p.is("readOnly"):
			c.say(at, "is only read")
		case ok:
			c.check(p, v[name], at)
		case c.allowed != nil && c.allowed(at):
		case s.open && s.others.m != nil:
			c.check(s.others, v[name], at)
		case s.open || len(s.properties) == 0:
			// An object of which nothing is said may hold anything.
		default:
			c.say(at, "is not in the document")
		}
	}
}

func (c *checker) text(n node, kind, v, path string) {
	switch {
	case kind == "integer" && n.text("format") == "int64":
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			c.say(path, "%q is not an int64", v)
		}
		return
	case kind != "string" && kind != "":
		c.say(path, "is a string (%.80q), want %s", v, kind)
		return
	}
	if why := badFormat(n.text("format"), v); why != "" {
		c.say(path, "%q %s", v, why)
	}
	if most, ok := n.number("maxLength"); ok && utf8.RuneCountInString(v) > int(most) {
		c.say(path, "%q is longer than %v", v, most)
	}
	if least, ok := n.number("minLength"); ok && utf8.RuneCountInString(v) < int(least) {
		c.say(path, "%q is shorter than %v", v, least)
	}
	if p := n.text("pattern"); p != "" {
		if re, err := regexp.Compile(p); err == nil && !re.MatchString(v) {
			c.say(path, "%q does not match %s", v, p)
		}
	}
}

func (c *checker) figure(n node, kind string, v json.Number, path string) {
	f, err := v.Float64()
	switch {
	case err != nil:
		c.say(path, "%s is not a number that can be read", v)
	case kind == "integer":
		i, err := v.Int64()
		if err != nil || n.text("format") == "int32" && (i < math.MinInt32 || i > math.MaxInt32) {
			c.say(path, "%s is not an integer of format %q", v, n.text("format"))
		}
	case kind != "number":
		c.say(path, "is a number, want %s", kind)
	}
	if least, ok := n.number("minimum"); ok && f < least {
		c.say(path, "%s is less than %v", v, least)
	}
	if most, ok := n.number("maximum"); ok && f > most {
		c.say(path, "%s is more than %v", v, most)
	}
}

var isoDuration = regexp.MustCompile(`^-?P(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$`)

// badFormat says why a string is not of a format, or "".
func badFormat(format, v string) string {
	var err error
	switch format {
	case "date-time":
		_, err = time.Parse(time.RFC3339Nano, v)
	case "date-time-rfc1123":
		_, err = time.Parse(http.TimeFormat, v)
	case "duration":
		if !isoDuration.MatchString(v) || strings.HasSuffix(v, "P") || strings.HasSuffix(v, "T") {
			return "is not an ISO 8601 duration"
		}
	case "uuid":
		if !resource.IsGUID(v) {
			return "is not a GUID"
		}
	case "byte":
		_, err = base64.StdEncoding.DecodeString(v)
	case "base64url":
		_, err = base64.RawURLEncoding.DecodeString(v)
	case "uri":
		var u *url.URL
		if u, err = url.Parse(v); err == nil && !u.IsAbs() {
			return "is not an absolute URI"
		}
	case "arm-id":
		if !strings.HasPrefix(v, "/") {
			return "is not a resource id"
		}
	case "int32", "int64":
		_, err = strconv.ParseInt(v, 10, 64)
	case "boolean":
		_, err = strconv.ParseBool(v)
	}
	if err != nil {
		return "is not of format " + format + ": " + err.Error()
	}
	return ""
}

// The comparison would be worth nothing if it let things through.
func TestTheCheckerFindsWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	var document map[string]any
	if err := json.Unmarshal([]byte(`{"definitions": {
		"Base": {"required": ["id"], "properties": {"id": {"type": "string", "maxLength": 3, "pattern": "^[a-z]+$"}}},
		"Thing": {"allOf": [{"$ref": "#/definitions/Base"}], "required": ["password"], "properties": {
			"state": {"type": "string", "enum": ["on", "off"]}, "count": {"type": "integer", "format": "int32", "minimum": 1},
			"size": {"type": "integer", "format": "int64"}, "at": {"type": "string", "format": "date-time"},
			"parts": {"type": "array", "maxItems": 2, "items": {"$ref": "#/definitions/Base"}},
			"tags": {"type": "object", "additionalProperties": {"type": "string"}}, "free": {"type": "object"},
			"maybe": {"type": "boolean", "x-nullable": true}, "password": {"type": "string", "x-ms-secret": true}
		}}}}`), &document); err != nil {
		t.Fatal(err)
	}
	lib := &library{files: map[string]map[string]any{"d.json": document}}
	thing := node{lib, "d.json", document}.node(map[string]any{"$ref": "#/definitions/Thing"})
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"fits", `{"id": "a", "state": "on", "count": 1, "size": "5", "at": "2020-01-01T00:00:00Z", "parts": [{"id": "b"}], "tags": {"x": "y"}, "free": {"any": [1]}, "maybe": null}`, 0},
		{"int64 as a number", `{"id": "a", "size": 5}`, 0},
		{"required by allOf", `{}`, 1},
		{"too long", `{"id": "abcd"}`, 1},
		{"pattern", `{"id": "A"}`, 1},
		{"enum", `{"id": "a", "state": "On"}`, 1},
		{"minimum", `{"id": "a", "count": 0}`, 1},
		{"int32", `{"id": "a", "count": 3000000000}`, 1},
		{"fraction", `{"id": "a", "count": 1.5}`, 1},
		{"int32 as a string", `{"id": "a", "count": "1"}`, 1},
		{"date", `{"id": "a", "at": "yesterday"}`, 1},
		{"null", `{"id": "a", "state": null}`, 1},
		{"items", `{"id": "a", "parts": [{}, {"id": 1}, {"id": "a"}]}`, 3},
		{"additional", `{"id": "a", "tags": {"x": 1}}`, 1},
		{"unknown", `{"id": "a", "other": 1}`, 1},
		{"secret", `{"id": "a", "password": "p"}`, 1},
		{"array for object", `[]`, 1},
	} {
		v, err := decodeExactly([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		check := checker{}
		check.check(thing, v, "body")
		if len(check.problems) != c.want {
			t.Errorf("%s: %s has problems %q, want %d", c.name, c.body, check.problems, c.want)
		}
	}
	for _, body := range []string{`{"a":1,"a":2}`, `{} {}`, "\"\xff\"", `{`} {
		if _, err := decodeExactly([]byte(body)); err == nil {
			t.Errorf("decodeExactly(%q) took it", body)
		}
	}
}
