package batchapi

import (
	"cmp"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A filter is the $filter of a list: comparisons of properties with literals, joined
// by and, or, not and parentheses, the functions startswith, endswith and contains (or
// substringof), and any over a list of pairs, as in
//
//	metadata/any(m: m/name eq 'owner' and m/value eq 'ann')
//
// Properties are those of the thing as it travels, so a filter can say nothing that a
// client does not see.
type filter func(v reflect.Value) bool

// parseFilter reads a filter over things of a type.
func parseFilter(text string, of reflect.Type) (filter, error) {
	if len(text) > 8<<10 {
		return nil, fmt.Errorf("a filter has at most 8192 characters")
	}
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	p := &filterParser{words: words, of: of}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.words) {
		return nil, fmt.Errorf("%q is not expected there", p.words[p.at].text)
	}
	return f, nil
}

type wordKind int

const (
	nameWord    wordKind = iota // properties, operators, numbers, true, false, null
	stringWord                  // 'text'
	timeWord                    // datetime'text'
	specialWord                 // ( ) , :
)

type word struct {
	kind wordKind
	text string
}

// split cuts a filter into words.
func split(text string) ([]word, error) {
	var words []word
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t':
			i++
		case strings.IndexByte("(),:", c) >= 0:
			words = append(words, word{specialWord, string(c)})
			i++
		case c == '\'':
			s, n, err := quoted(text[i:])
			if err != nil {
				return nil, err
			}
			words = append(words, word{stringWord, s})
			i += n
		default:
			n := strings.IndexAny(text[i:], " \t'(),")
			// A colon ends the variable of any; elsewhere it belongs to a time.
			if j := strings.IndexByte(text[i:], ':'); j >= 0 && (n < 0 || j < n) && !strings.ContainsAny(text[i:i+1], "0123456789") {
				n = j
			}
			if n < 0 {
				n = len(text) - i
			}
			w := word{nameWord, text[i : i+n]}
			i += n
			if i < len(text) && text[i] == '\'' {
				switch strings.ToLower(w.text) {
				case "datetime", "datetimeoffset":
				default:
					return nil, fmt.Errorf("%q is not a kind of literal", w.text)
				}
				s, n, err := quoted(text[i:])
				if err != nil {
					return nil, err
				}
				w = word{timeWord, s}
				i += n
			}
			words = append(words, w)
		}
	}
	return words, nil
}

// quoted reads a string literal, in which a quote is doubled.
func quoted(text string) (s string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, nil
	}
	return "", 0, fmt.Errorf("a string has no end")
}

type filterParser struct {
	words []word
	at    int
	depth int
	of    reflect.Type
	// variable is the name that any gives to an element, of its type.
	variable string
}

func (p *filterParser) peek(text string) bool {
	return p.at < len(p.words) && p.words[p.at].kind != stringWord && strings.EqualFold(p.words[p.at].text, text)
}

func (p *filterParser) accept(text string) bool {
	if p.peek(text) {
		p.at++
		return true
	}
	return false
}

func (p *filterParser) need(text string) error {
	if !p.accept(text) {
		return fmt.Errorf("%q is missing", text)
	}
	return nil
}

func (p *filterParser) or() (filter, error) {
	f, err := p.and()
	for err == nil && p.accept("or") {
		var g filter
		left := f
		if g, err = p.and(); err == nil {
			f = func(v reflect.Value) bool { return left(v) || g(v) }
		}
	}
	return f, err
}

func (p *filterParser) and() (filter, error) {
	f, err := p.not()
	for err == nil && p.accept("and") {
		var g filter
		left := f
		if g, err = p.not(); err == nil {
			f = func(v reflect.Value) bool { return left(v) && g(v) }
		}
	}
	return f, err
}

func (p *filterParser) not() (filter, error) {
	// What is nested deeper than anybody writes it is refused before the stack is.
	if p.depth++; p.depth > 200 {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.accept("not") {
		f, err := p.not()
		if err != nil {
			return nil, err
		}
		return func(v reflect.Value) bool { return !f(v) }, nil
	}
	if p.accept("(") {
		f, err := p.or()
		if err != nil {
			return nil, err
		}
		return f, p.need(")")
	}
	return p.term()
}

func (p *filterParser) next() (word, error) {
	if p.at == len(p.words) {
		return word{}, fmt.Errorf("it ends too early")
	}
	w := p.words[p.at]
	p.at++
	return w, nil
}

// term reads a function, an any, or a comparison.
func (p *filterParser) term() (filter, error) {
	w, err := p.next()
	if err != nil {
		return nil, err
	}
	if w.kind != nameWord {
		return nil, fmt.Errorf("%q is not a property", w.text)
	}
	switch name := strings.ToLower(w.text); {
	case p.peek("(") && (name == "startswith" || name == "endswith" || name == "contains" || name == "substringof"):
		return p.function(name)
	case p.peek("(") && strings.HasSuffix(name, "/any"):
		return p.any(w.text[:len(w.text)-len("/any")])
	case p.peek("("):
		return nil, fmt.Errorf("there is no function %q", w.text)
	}
	path, kind, err := p.path(w.text)
	if err != nil {
		return nil, err
	}
	if kind.Kind() == reflect.Bool && !p.operator() {
		return func(v reflect.Value) bool { x, ok := value(v, path); return ok && x == any(true) }, nil
	}
	op, err := p.next()
	if err != nil {
		return nil, err
	}
	test := map[string]func(int) bool{
		"eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
		"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 },
		"lt": func(c int) bool { return c < 0 }, "le": func(c int) bool { return c <= 0 },
	}[strings.ToLower(op.text)]
	if test == nil || op.kind != nameWord {
		return nil, fmt.Errorf("%q is not an operator", op.text)
	}
	lit, err := p.next()
	if err != nil {
		return nil, err
	}
	want, err := literal(lit, kind)
	if err != nil {
		return nil, err
	}
	// Ids compare without case, as everywhere.
	fold := strings.EqualFold(path[len(path)-1], "id") || strings.HasSuffix(strings.ToLower(path[len(path)-1]), "thumbprint")
	name := strings.ToLower(op.text)
	return func(v reflect.Value) bool {
		have, ok := value(v, path)
		if !ok || want == nil {
			// What is not there equals null and nothing else.
			same := !ok && want == nil
			return name == "eq" && same || name == "ne" && !same
		}
		c, ok := compare(have, want, fold)
		return ok && test(c)
	}, nil
}

func (p *filterParser) operator() bool {
	for _, op := range []string{"eq", "ne", "gt", "ge", "lt", "le"} {
		if p.peek(op) {
			return true
		}
	}
	return false
}

func (p *filterParser) function(name string) (filter, error) {
	p.at++ // the parenthesis
	args := make([]word, 2)
	for i := range args {
		var err error
		if args[i], err = p.next(); err != nil {
			return nil, err
		}
		if err := p.need([]string{",", ")"}[i]); err != nil {
			return nil, err
		}
	}
	if name == "substringof" {
		args[0], args[1] = args[1], args[0]
	}
	if args[0].kind != nameWord || args[1].kind != stringWord {
		return nil, fmt.Errorf("%s takes a property and a string", name)
	}
	path, kind, err := p.path(args[0].text)
	if err != nil {
		return nil, err
	}
	if kind.Kind() != reflect.String {
		return nil, fmt.Errorf("the property %q is not a string", args[0].text)
	}
	test := map[string]func(s, part string) bool{
		"startswith": strings.HasPrefix, "endswith": strings.HasSuffix, "contains": strings.Contains, "substringof": strings.Contains,
	}[name]
	part := strings.ToLower(args[1].text)
	return func(v reflect.Value) bool {
		have, ok := value(v, path)
		s, is := have.(string)
		return ok && is && test(strings.ToLower(s), part)
	}, nil
}

// any reads any(x: condition) over a list.
func (p *filterParser) any(list string) (filter, error) {
	path, kind, err := p.path(list)
	if err != nil {
		return nil, err
	}
	if kind.Kind() != reflect.Slice || p.variable != "" {
		return nil, fmt.Errorf("any cannot be asked of %q", list)
	}
	p.at++
	name, err := p.next()
	if err != nil {
		return nil, err
	}
	if err := p.need(":"); err != nil {
		return nil, err
	}
	of := p.of
	p.of, p.variable = kind.Elem(), name.text
	inner, err := p.or()
	p.of, p.variable = of, ""
	if err != nil {
		return nil, err
	}
	if err := p.need(")"); err != nil {
		return nil, err
	}
	return func(v reflect.Value) bool {
		l, ok := walk(v, path)
		for i := 0; ok && i < l.Len(); i++ {
			if inner(l.Index(i)) {
				return true
			}
		}
		return false
	}, nil
}

// path finds the property that a path names.
func (p *filterParser) path(text string) ([]string, reflect.Type, error) {
	if p.variable != "" {
		rest, ok := strings.CutPrefix(text, p.variable+"/")
		if !ok {
			return nil, nil, fmt.Errorf("%q is not a property of %s", text, p.variable)
		}
		text = rest
	}
	path := strings.Split(text, "/")
	kind := p.of
	for _, name := range path {
		field, ok := property(kind, name)
		if !ok {
			return nil, nil, fmt.Errorf("there is no property %q", text)
		}
		kind = field
	}
	return path, kind, nil
}

// literal reads what a property is compared with; nil is null.
func literal(w word, of reflect.Type) (any, error) {
	bad := fmt.Errorf("%q cannot be compared with the property", w.text)
	if w.kind == nameWord && strings.EqualFold(w.text, "null") {
		return nil, nil
	}
	if of == reflect.TypeFor[timestamp]() {
		if w.kind == specialWord {
			return nil, bad
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
			if t, err := time.Parse(layout, w.text); err == nil {
				return t, nil
			}
		}
		return nil, fmt.Errorf("%q is not a time", w.text)
	}
	switch of.Kind() {
	case reflect.String:
		if w.kind == stringWord {
			return w.text, nil
		}
	case reflect.Bool:
		if b, err := strconv.ParseBool(strings.ToLower(w.text)); err == nil && w.kind == nameWord {
			return b, nil
		}
	case reflect.Int, reflect.Int64:
		if n, err := strconv.ParseInt(w.text, 10, 64); err == nil && w.kind == nameWord {
			return n, nil
		}
	}
	return nil, bad
}

// compare compares what is with what is wanted.
func compare(have, want any, fold bool) (int, bool) {
	switch h := have.(type) {
	case string:
		w, ok := want.(string)
		if fold {
			h, w = strings.ToLower(h), strings.ToLower(w)
		}
		return cmp.Compare(h, w), ok
	case int64:
		w, ok := want.(int64)
		return cmp.Compare(h, w), ok
	case time.Time:
		w, ok := want.(time.Time)
		return h.Compare(w), ok
	case bool:
		w, ok := want.(bool)
		if h == w {
			return 0, ok
		}
		return 1, ok
	}
	return 0, false
}
