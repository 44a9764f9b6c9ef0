package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestConfigFaultsAreReportedAllAtOnce(t *testing.T) {
	_, err := session.New(session.Config{
		IdleTimeout:  -time.Second,
		Lifetime:     time.Millisecond,
		StoreTimeout: time.Nanosecond,
		MaxBytes:     -1,
		Cookie:       session.Cookie{Name: "__Host-x", Domain: "example.com", InsecureHTTP: true, SameSite: http.SameSiteNoneMode},
	})
	for _, field := range []string{"Store", "IdleTimeout", "Lifetime", "StoreTimeout", "MaxBytes", "Cookie.Name", "SameSite=None"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not mention %s: %v", field, err)
		}
	}
}

func TestMaxBytesIsWhatRedisTakes(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	for size, valid := range map[int]bool{63: false, 64: true, 512 << 20: true, 512<<20 + 1: false} {
		_, err := session.New(session.Config{Store: b.Store, MaxBytes: size})
		if (err == nil) != valid {
			t.Errorf("MaxBytes %d: %v", size, err)
		}
	}
}
