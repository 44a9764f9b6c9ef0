module github.com/sessionkv/session/cmd/sessionctl

go 1.25.0

require (
	github.com/redis/go-redis/v9 v9.22.0
	github.com/sessionkv/session v0.0.0
	github.com/sessionkv/session/redisstore/goredis v0.0.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9
	golang.org/x/term v0.43.0
)

require (
	github.com/alicebob/miniredis/v2 v2.40.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/gomodule/redigo v1.9.3 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/yuin/gopher-lua v1.1.1 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sys v0.44.0 // indirect
)

replace github.com/sessionkv/session => ../..

replace github.com/sessionkv/session/redisstore/goredis => ../../redisstore/goredis
