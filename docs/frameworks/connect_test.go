package frameworks

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	countPath  = "/test.Visits/Count"
	streamPath = "/test.Visits/Stream"
	bothPath   = "/test.Visits/Both"
)

// rpcs are procedures that count the visits of their session: one answer, a stream, and a stream in both directions.
func rpcs(t *testing.T) http.Handler {
	m := http.NewServeMux()
	m.Handle(countPath, connect.NewUnaryHandler(countPath,
		func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.Int64Value], error) {
			return connect.NewResponse(wrapperspb.Int64(int64(visit(t, ctx)))), nil
		}))
	m.Handle(streamPath, connect.NewServerStreamHandler(streamPath,
		func(ctx context.Context, _ *connect.Request[emptypb.Empty], stream *connect.ServerStream[wrapperspb.Int64Value]) error {
			n := wrapperspb.Int64(int64(visit(t, ctx)))
			_ = stream.Send(n)
			return stream.Send(n)
		}))
	m.Handle(bothPath, connect.NewBidiStreamHandler(bothPath,
		func(ctx context.Context, stream *connect.BidiStream[emptypb.Empty, wrapperspb.Int64Value]) error {
			n := wrapperspb.Int64(int64(visit(t, ctx)))
			for {
				if _, err := stream.Receive(); err != nil {
					return nil
				}
				if err := stream.Send(n); err != nil {
					return err
				}
			}
		}))
	return m
}

// connect wants a Flusher for streams, and HTTP/2 trailers for gRPC.
func TestConnectProcedures(t *testing.T) {
	manager, _ := newManager(t)
	server := serve(t, manager.Handler(rpcs(t)))
	for _, protocol := range protocols {
		for name, options := range map[string][]connect.ClientOption{
			"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
		} {
			if name == "gRPC" && protocol == "HTTP/1.1" {
				continue // gRPC is spoken over HTTP/2 alone
			}
			t.Run(name+" "+protocol, func(t *testing.T) {
				client := newClient(t, server, protocol)
				count := connect.NewClient[emptypb.Empty, wrapperspb.Int64Value](client, server.URL+countPath, options...)
				for want := int64(1); want <= 2; want++ {
					got, err := count.CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
					if err != nil || got.Msg.Value != want || setsSession(got.Header()) != (want == 1) {
						t.Fatalf("call %d: %v, %v", want, got, err)
					}
				}
				stream := connect.NewClient[emptypb.Empty, wrapperspb.Int64Value](client, server.URL+streamPath, options...)
				if got := received(t, stream); len(got) != 2 || got[0] != 3 {
					t.Errorf("streamed %v", got)
				}
				if protocol == "HTTP/2.0" {
					talk(t, connect.NewClient[emptypb.Empty, wrapperspb.Int64Value](client, server.URL+bothPath, options...))
				}
			})
		}
	}
}

func received(t *testing.T, client *connect.Client[emptypb.Empty, wrapperspb.Int64Value]) (values []int64) {
	t.Helper()
	stream, err := client.CallServerStream(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		values = append(values, stream.Msg().Value)
	}
	if err := stream.Err(); err != nil {
		t.Error(err)
	}
	return values
}

// talk sends and receives in turn, which needs each message to leave at once.
func talk(t *testing.T, client *connect.Client[emptypb.Empty, wrapperspb.Int64Value]) {
	t.Helper()
	stream := client.CallBidiStream(t.Context())
	for range 3 {
		if err := stream.Send(&emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
		if got, err := stream.Receive(); err != nil || got.Value != 4 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	_ = stream.CloseRequest()
	_ = stream.CloseResponse()
}
