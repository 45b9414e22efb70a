package front

import (
	"net/http/httptest"
	"testing"
)

func TestProxyServesItsOwnMachineOnly(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]int{"192.0.2.1:1234": 403, "[2001:db8::1]:1": 403, "127.0.0.1:1": 400, "[::1]:1": 400, "127.9.9.9:5": 400} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		(&Front{}).lead(w, r)
		if w.Code != want {
			t.Errorf("request from %s = %d, want %d", addr, w.Code, want)
		}
	}
}
