// Package compat holds tests that drive the service with Azure's own SDKs, as they are
// and with their default cloud.
//
// The tests know nothing of the service's code: they start the program, and run below
// `latchkey exec`, as any user's program does. They are a module of their own so that
// the service does not depend on clients that it never uses.
package compat
