package redisstore

import (
	"context"

	"github.com/sessionkv/session/driver"
)

// telling is a Client that tells the Manager of each repeat.
type telling struct{ Client }

func (t telling) Do(ctx context.Context, key string, commands ...Command) (replies []any, lost, err error) {
	replies, lost, err = t.Client.Do(ctx, key, commands...)
	if lost != nil {
		driver.Repeated(ctx)
	}
	return replies, lost, err
}
