package subscription

import (
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/resource"
)

// A Filter is the $filter of a list of groups or resources. The zero Filter keeps
// everything.
type Filter struct{ root node }

// A node is one expression. It is asked about one resource seen with one of its tags,
// because tagName and tagValue, where they stand together, mean the same tag.
type node func(seen lookup) bool

// A lookup returns the value of a property.
type lookup func(property string) string

// ParseFilter reads a filter over the properties given, as Azure spells them. A
// property that ends in () is a claim that holds for everything listed anyway, such as
// atScopeAndBelow(). It knows eq, ne, and, or, not, parentheses, substringof('x', p), startswith(p, 'x') and
// contains(p, 'x'); gt, ge, lt and le compare times. It fails with fault.InvalidFilter.
func ParseFilter(s string, properties ...string) (Filter, error) {
	if strings.TrimSpace(s) == "" {
		return Filter{}, nil
	}
	p := &filterParser{text: s, properties: properties}
	if err := p.scan(); err != nil {
		return Filter{}, err
	}
	root, err := p.either(0)
	if err != nil {
		return Filter{}, err
	}
	if p.next().kind != end {
		return Filter{}, p.bad("'%s' was not expected", p.next().text)
	}
	return Filter{root}, nil
}

// GroupProperties and ResourceProperties are what filters of the two lists may name.
var (
	GroupProperties    = []string{"tagName", "tagValue"}
	ResourceProperties = []string{
		"resourceType", "name", "location", "resourceGroup", "tagName", "tagValue",
		"identity", "identity/principalId", "plan", "plan/publisher", "plan/product", "plan/name", "plan/version", "plan/promotionCode",
	}
)

// Keeps reports whether a filter keeps something whose properties seen returns.
func (f Filter) Keeps(seen func(property string) string) bool {
	return f.root == nil || f.root(seen)
}

func (f Filter) keepsGroup(g Group) bool {
	return f.keeps(g.Tags, func(string) string { return "" })
}

func (f Filter) keepsResource(r Resource) bool {
	if f.root == nil {
		return true
	}
	id, err := resource.ParseID(r.ID)
	if err != nil {
		return false
	}
	return f.keeps(r.Tags, func(property string) string {
		switch property {
		case "resourceType":
			return id.Type()
		case "name":
			return id.Name()
		case "location":
			return LocationName(r.Location)
		case "resourceGroup":
			return id.Group
		case "identity", "identity/principalId":
			return r.PrincipalID
		}
		// No resource of ours has a plan.
		return ""
	})
}

func (f Filter) keeps(tags map[string]string, seen lookup) bool {
	if f.root == nil {
		return true
	}
	tagged := func(name, value string) lookup {
		return func(property string) string {
			switch property {
			case "tagName":
				return name
			case "tagValue":
				return value
			}
			return seen(property)
		}
	}
	for name, value := range tags {
		if f.root(tagged(name, value)) {
			return true
		}
	}
	return f.root(tagged("", ""))
}

// The kinds of tokens.
const (
	end = iota
	word
	text
	mark
)

type token struct {
	kind int
	text string
}

type filterParser struct {
	text       string
	properties []string
	tokens     []token
}

// filterDepth bounds how deep parentheses may stand in one another.
const filterDepth = 32

func (p *filterParser) bad(format string, args ...any) error {
	why := fault.InvalidFilter.New(format, args...).Message
	return fault.InvalidFilter.New("Invalid $filter '%.200s' specified in the query string: %s.", p.text, why)
}

func (p *filterParser) scan() error {
	for s := p.text; s != ""; {
		switch c := s[0]; {
		case c == ' ' || c == '\t':
			s = s[1:]
		case c == '(' || c == ')' || c == ',':
			p.tokens = append(p.tokens, token{mark, s[:1]})
			s = s[1:]
		case c == '\'':
			// A quote in a text is written twice.
			var b strings.Builder
			s = s[1:]
			for {
				before, rest, ok := strings.Cut(s, "'")
				if !ok {
					return p.bad("a text does not end")
				}
				b.WriteString(before)
				if s = rest; !strings.HasPrefix(s, "'") {
					break
				}
				b.WriteByte('\'')
				s = s[1:]
			}
			p.tokens = append(p.tokens, token{text, b.String()})
		default:
			n := strings.IndexAny(s, " \t(),'")
			if n < 0 {
				n = len(s)
			}
			p.tokens = append(p.tokens, token{word, s[:n]})
			s = s[n:]
		}
	}
	return nil
}

func (p *filterParser) next() token {
	if len(p.tokens) == 0 {
		return token{end, "the end"}
	}
	return p.tokens[0]
}

// take removes the next token if it is the word or mark given.
func (p *filterParser) take(s string) bool {
	t := p.next()
	if (t.kind == word || t.kind == mark) && resource.Equal(t.text, s) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *filterParser) either(depth int) (node, error) {
	left, err := p.both(depth)
	for err == nil && p.take("or") {
		var right node
		if right, err = p.both(depth); err == nil {
			a, b := left, right
			left = func(l lookup) bool { return a(l) || b(l) }
		}
	}
	return left, err
}

func (p *filterParser) both(depth int) (node, error) {
	left, err := p.one(depth)
	for err == nil && p.take("and") {
		var right node
		if right, err = p.one(depth); err == nil {
			a, b := left, right
			left = func(l lookup) bool { return a(l) && b(l) }
		}
	}
	return left, err
}

func (p *filterParser) one(depth int) (node, error) {
	if depth > filterDepth {
		return nil, p.bad("it is nested too deep")
	}
	if p.take("not") {
		inner, err := p.one(depth + 1)
		if err != nil {
			return nil, err
		}
		return func(l lookup) bool { return !inner(l) }, nil
	}
	if p.take("(") {
		inner, err := p.either(depth + 1)
		if err == nil && !p.take(")") {
			err = p.bad("')' was expected before '%s'", p.next().text)
		}
		return inner, err
	}
	for name, holds := range functions {
		if p.take(name) {
			return p.call(name, holds)
		}
	}
	property, err := p.property()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(property, "()") {
		if !p.take("(") || !p.take(")") {
			return nil, p.bad("%s takes no arguments", property)
		}
		return func(lookup) bool { return true }, nil
	}
	operator := resource.Fold(p.next().text)
	holds := comparisons[operator]
	if p.next().kind != word || holds == nil {
		return nil, p.bad("the operator '%s' is not supported", p.next().text)
	}
	p.tokens = p.tokens[1:]
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	if property == "location" {
		value = LocationName(value)
	}
	when, timed := parseTime(value)
	if !timed && operator != "eq" && operator != "ne" {
		return nil, p.bad("'%s' is not a time, and the operator '%s' compares times", value, operator)
	}
	return func(l lookup) bool {
		have := l(property)
		if at, ok := parseTime(have); ok && timed {
			return holds(at.Compare(when))
		}
		return (operator == "eq" || operator == "ne") && holds(strings.Compare(resource.Fold(have), resource.Fold(value)))
	}, nil
}

// comparisons say whether an operator holds, from how what there is compares to what
// is asked for.
var comparisons = map[string]func(int) bool{
	"eq": func(c int) bool { return c == 0 },
	"ne": func(c int) bool { return c != 0 },
	"gt": func(c int) bool { return c > 0 },
	"ge": func(c int) bool { return c >= 0 },
	"lt": func(c int) bool { return c < 0 },
	"le": func(c int) bool { return c <= 0 },
}

// parseTime reads a time as clients write it in filters.
func parseTime(s string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// functions say whether a property's value, folded, has the part that is looked for.
var functions = map[string]func(value, part string) bool{
	"substringof": strings.Contains,
	"contains":    strings.Contains,
	"startswith":  strings.HasPrefix,
	"endswith":    strings.HasSuffix,
}

// call reads the arguments of a function. Clients write them in either order:
// substringof('x', name), startswith(name, 'x').
func (p *filterParser) call(name string, holds func(value, part string) bool) (node, error) {
	if !p.take("(") {
		return nil, p.bad("'(' was expected after %s", name)
	}
	var property, part string
	var err error
	if p.next().kind == text {
		if part, err = p.value(); err == nil && !p.take(",") {
			err = p.bad("%s needs two arguments", name)
		}
		if err == nil {
			property, err = p.property()
		}
	} else {
		if property, err = p.property(); err == nil && !p.take(",") {
			err = p.bad("%s needs two arguments", name)
		}
		if err == nil {
			part, err = p.value()
		}
	}
	if err == nil && !p.take(")") {
		err = p.bad("')' was expected before '%s'", p.next().text)
	}
	part = resource.Fold(part)
	return func(l lookup) bool { return holds(resource.Fold(l(property)), part) }, err
}

// property reads the name of a property and returns it as Azure spells it.
func (p *filterParser) property() (string, error) {
	t := p.next()
	if t.kind == word {
		for _, known := range p.properties {
			if resource.Equal(strings.TrimSuffix(known, "()"), t.text) {
				p.tokens = p.tokens[1:]
				return known, nil
			}
		}
	}
	return "", p.bad("'%s' is not a property that can be filtered by", t.text)
}

// value reads a text in quotes, with or without the word for its type, or null, which
// is the empty text.
func (p *filterParser) value() (string, error) {
	if p.take("null") {
		return "", nil
	}
	if len(p.tokens) > 1 && p.tokens[1].kind == text {
		p.take("datetime")
	}
	t := p.next()
	if t.kind != text {
		return "", p.bad("a text in single quotes was expected, not '%s'", t.text)
	}
	p.tokens = p.tokens[1:]
	return t.text, nil
}
