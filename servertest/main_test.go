package servertest_test

import (
	"os"
	"testing"

	"latchkey/servertest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	servertest.RemoveBinary()
	os.Exit(status)
}
