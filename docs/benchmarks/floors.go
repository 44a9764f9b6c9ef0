package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// unwrapped is embedded by what has no middleware.
type unwrapped struct{}

func (unwrapped) wrap(next http.Handler) http.Handler { return next }

// bareLibrary answers a write with a number that it has not answered before, as if it had written.
type bareLibrary struct {
	unwrapped
	writes *atomic.Int64
}

func (bareLibrary) begin(w http.ResponseWriter, _ *http.Request, _ []member) error {
	newToken(w)
	return nil
}
func (bareLibrary) read(*http.Request) (int, error) { return firstVisits, nil }
func (b bareLibrary) write(http.ResponseWriter, *http.Request) (int, error) {
	return firstVisits + int(b.writes.Add(1)), nil
}
func (bareLibrary) end(http.ResponseWriter, *http.Request) error { return nil }

// floorLibrary keeps the visits at a fixed place at the head of the value, so that it need not decode it:
//
//	{"visits":         1,"member0":...
type floorLibrary struct {
	unwrapped
	client floorClient
}

// A floorClient sends the three commands of a floor, each in one call of a client library.
type floorClient interface {
	// getex returns a value that the caller may change, and lets it live for floorTTL from now on.
	getex(ctx context.Context, key string) ([]byte, error)
	// set stores a value for floorTTL, whatever there was.
	set(ctx context.Context, key string, value []byte) error
	del(ctx context.Context, key string) error
}

const (
	floorHead   = `{"` + visitsName + `":`
	floorDigits = 10
	floorTTL    = 30 * time.Minute
)

func (f floorLibrary) begin(w http.ResponseWriter, r *http.Request, members []member) error {
	value := fmt.Appendf(nil, "%s%*d", floorHead, floorDigits, firstVisits)
	for _, m := range members {
		if m.name != visitsName {
			raw, err := json.Marshal(m.value)
			if err != nil {
				return err
			}
			value = fmt.Appendf(value, ",%q:%s", m.name, raw)
		}
	}
	return f.client.set(r.Context(), "floor:"+newToken(w), append(value, '}'))
}

func (f floorLibrary) get(r *http.Request) (key string, value []byte, visits int, err error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return "", nil, 0, err
	}
	key = "floor:" + cookie.Value
	if value, err = f.client.getex(r.Context(), key); err != nil {
		return "", nil, 0, err
	}
	visits, err = strconv.Atoi(string(bytes.TrimSpace(value[len(floorHead) : len(floorHead)+floorDigits])))
	return key, value, visits, err
}

func (f floorLibrary) read(r *http.Request) (int, error) {
	_, _, visits, err := f.get(r)
	return visits, err
}

func (f floorLibrary) write(_ http.ResponseWriter, r *http.Request) (int, error) {
	key, value, visits, err := f.get(r)
	if err != nil {
		return 0, err
	}
	visits++
	copy(value[len(floorHead):], fmt.Sprintf("%*d", floorDigits, visits))
	return visits, f.client.set(r.Context(), key, value)
}

func (f floorLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return err
	}
	return f.client.del(r.Context(), "floor:"+cookie.Value)
}

// redigoFloor does not pass on the context: a pool of redigo would then start a goroutine for each command.
type redigoFloor struct{ pool *redis.Pool }

func (f redigoFloor) do(command string, args ...any) (any, error) {
	conn := f.pool.Get()
	defer conn.Close()
	return conn.Do(command, args...)
}

func (f redigoFloor) getex(_ context.Context, key string) ([]byte, error) {
	return redis.Bytes(f.do("GETEX", key, "PX", floorTTL.Milliseconds()))
}

func (f redigoFloor) set(_ context.Context, key string, value []byte) error {
	_, err := f.do("SET", key, value, "PX", floorTTL.Milliseconds())
	return err
}

func (f redigoFloor) del(_ context.Context, key string) error {
	_, err := f.do("DEL", key)
	return err
}

type rueidisFloor struct{ client rueidis.Client }

func newRueidisFloor(a address) (library, error) {
	option, err := rueidis.ParseURL(a.url())
	if err != nil {
		return nil, err
	}
	option.DisableCache = true
	option.Dialer.KeepAlive = time.Hour // also the time between the PINGs, which are not to be counted
	client, err := rueidis.NewClient(option)
	return floorLibrary{client: rueidisFloor{client}}, err
}

func (f rueidisFloor) getex(ctx context.Context, key string) ([]byte, error) {
	return f.client.Do(ctx, f.client.B().Getex().Key(key).PxMilliseconds(floorTTL.Milliseconds()).Build()).AsBytes()
}

func (f rueidisFloor) set(ctx context.Context, key string, value []byte) error {
	return f.client.Do(ctx, f.client.B().Set().Key(key).Value(rueidis.BinaryString(value)).PxMilliseconds(floorTTL.Milliseconds()).Build()).Error()
}

func (f rueidisFloor) del(ctx context.Context, key string) error {
	return f.client.Do(ctx, f.client.B().Del().Key(key).Build()).Error()
}

type goRedisFloor struct{ client *goredis.Client }

func newGoRedisFloor(a address) (library, error) {
	client := goredis.NewClient(&goredis.Options{Network: a.network, Addr: a.address, PoolSize: poolSize})
	return floorLibrary{client: goRedisFloor{client}}, nil
}

func (f goRedisFloor) getex(ctx context.Context, key string) ([]byte, error) {
	return f.client.GetEx(ctx, key, floorTTL).Bytes()
}

func (f goRedisFloor) set(ctx context.Context, key string, value []byte) error {
	return f.client.Set(ctx, key, value, floorTTL).Err()
}

func (f goRedisFloor) del(ctx context.Context, key string) error {
	return f.client.Del(ctx, key).Err()
}
