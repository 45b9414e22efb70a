package server_test

import (
	"testing"

	"latchkey/server"
)

func TestParseCloud(t *testing.T) {
	t.Parallel()
	for name, management := range map[string]string{
		"azure":           "management.azure.com",
		"Azure":           "management.azure.com",
		"cloud.example":   "management.cloud.example",
		"Cloud.Example":   "management.cloud.example",
		"localhost":       "management.localhost",
		"localhost:8443":  "management.localhost:8443",
		"":                "",
		"10.0.0.1":        "",
		"10.0.0.1:80":     "",
		"a..b":            "",
		"-a.b":            "",
		"a_b.c":           "",
		"a b":             "",
		"a.b:":            "",
		"a.b:https":       "",
		"a.b:99999":       "",
		"https://a.b":     "",
		"a.b/c":           "",
		"[::1]":           "",
		"exämple.example": "",
	} {
		cloud, err := server.ParseCloud(name)
		if (err == nil) != (management != "") || cloud.Management != management {
			t.Errorf("ParseCloud(%q) = %q, %v, want %q", name, cloud.Management, err, management)
		}
	}
}

func TestOnlyLoopbackAddressesAreTaken(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.1.2.3:80": true, "[::1]:8443": true, "localhost:1": true,
		"0.0.0.0:1": false, ":1": false, "[::]:1": false, "192.0.2.1:1": false, "example.com:1": false,
		"127.0.0.1": false, "127.0.0.1:x": false, "127.0.0.1:70000": false, "": false,
	} {
		if err := server.CheckLoopback(addr); (err == nil) != ok {
			t.Errorf("CheckLoopback(%q) = %v, want ok %t", addr, err, ok)
		}
	}
}
