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
		StoreTimeout: 10 * time.Second,
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

func TestPersistentCookieLastsAsLongAsItsSession(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Lifetime: time.Hour, Persistent: true})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	if cookie := cookies[0]; cookie.MaxAge != 3600 {
		t.Errorf("Max-Age %d", cookie.MaxAge)
	}
}

func TestFaultsOfClassesAndLimits(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	for mentions, config := range map[string]session.Config{
		"Config.Lifetime 9624h0m0s is more than the 400 days":     {Lifetime: 401 * 24 * time.Hour, Persistent: true},
		"Config.Classes[2].Lifetime 9624h0m0s is more":            {Classes: map[session.Class]session.Lifetimes{2: {Lifetime: 401 * 24 * time.Hour, Persistent: true}}},
		"Config.Classes[3].IdleTimeout is -1s":                    {Classes: map[session.Class]session.Lifetimes{3: {IdleTimeout: -time.Second}}},
		"Config.Classes[0] is what the fields of Config say":      {Classes: map[session.Class]session.Lifetimes{0: {}}},
		"Config.SessionsPerUser is -1: it must not be negative":   {SessionsPerUser: -1},
		"Config.RefuseMore needs SessionsPerUser":                 {RefuseMore: true},
		"Config.SessionsPerUser needs a Store that knows users":   {SessionsPerUser: 1, Store: testkit.ConstStore{}},
		"Config.StoreTimeout is 10s: it must be from 1ms to less": {StoreTimeout: 10 * time.Second},
	} {
		if config.Store == nil {
			config.Store = b.Store
		}
		if _, err := session.New(config); err == nil || !strings.Contains(err.Error(), mentions) {
			t.Errorf("%s: %v", mentions, err)
		}
	}
}
