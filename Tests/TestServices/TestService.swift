import HummingbirdCore
import NIOCore
import NIOPosix
import NIOSSL

/// A service that a test starts.
public protocol TestService: Sendable {}
