#!/bin/sh
# Makes Generated/ from the .proto files. Needs protoc (Debian: protobuf-compiler); the Swift plug-ins are built from the
# packages that Package.resolved names, so that the generated code always fits the libraries.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.."

swift build --product protoc-gen-swift
swift build --product protoc-gen-grpc-swift-2
plugins=$(swift build --show-bin-path)

protoc "$here/agent.proto" "$here/relay.proto" --proto_path="$here" \
    --plugin="protoc-gen-swift=$plugins/protoc-gen-swift" \
    --swift_out="$here/Generated" --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true
# Only the agent protocol has a service.
protoc "$here/agent.proto" --proto_path="$here" \
    --plugin="protoc-gen-grpc-swift-2=$plugins/protoc-gen-grpc-swift-2" \
    --grpc-swift-2_out="$here/Generated" --grpc-swift-2_opt=Visibility=Package \
    --grpc-swift-2_opt=UseAccessLevelOnImports=true
