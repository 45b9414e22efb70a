package batchapi

import (
	"reflect"
	"strings"
	"time"
)

// property returns the type of a property of a type by its name as it travels, without
// case; pointers are looked through.
func property(of reflect.Type, name string) (reflect.Type, bool) {
	of = behind(of)
	if of.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			if kind, ok := property(f.Type, name); ok {
				return kind, true
			}
			continue
		}
		if strings.EqualFold(wireName(f), name) {
			return behind(f.Type), true
		}
	}
	return nil, false
}

func behind(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func wireName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

// walk finds a property's value; ok is false if there is none.
func walk(v reflect.Value, path []string) (reflect.Value, bool) {
	for _, name := range path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		next, ok := field(v, name)
		if !ok {
			return v, false
		}
		v = next
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return v, false
		}
		v = v.Elem()
	}
	return v, true
}

func field(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if inner, ok := field(v.Field(i), name); ok {
				return inner, true
			}
			continue
		}
		if strings.EqualFold(wireName(f), name) {
			// What is left out on the wire is not there.
			if v.Field(i).IsZero() && strings.Contains(f.Tag.Get("json"), ",omit") {
				return v, false
			}
			return v.Field(i), true
		}
	}
	return v, false
}

// value returns a property as a string, int64, bool or time.Time.
func value(v reflect.Value, path []string) (any, bool) {
	v, ok := walk(v, path)
	if !ok {
		return nil, false
	}
	if t, ok := v.Interface().(timestamp); ok {
		return time.Time(t), true
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return v.Bool(), true
	case reflect.Int, reflect.Int64:
		return v.Int(), true
	}
	return nil, false
}
