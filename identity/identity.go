// Package identity knows who calls and what they may do.
package identity
