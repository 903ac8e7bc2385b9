internal import Synchronization

/// One wait for everything sealed at several remotes. Ends when the last of them has ended, with the first failure.
///
/// Lock order: `state` is a leaf; trees and the completion are called outside of it.
public final class JointWait: Sendable {
    private struct State {
        var left: Int
        var failure: RemoteError?
        var tokens: [(tree: RemoteTree, token: WaitToken)] = []
    }

    private let state: Mutex<State>
    private let completion: @Sendable (Result<Void, RemoteError>) -> Void

    init(_ trees: [RemoteTree], _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void) {
        self.completion = completion
        // One more for this call: a tree may be through before the next one is asked.
        state = Mutex(State(left: trees.count + 1))
        for tree in trees {
            let token = tree.waitUntilCommitted(below: .root) { [self] in end($0) }
            state.withLock { $0.tokens.append((tree, token)) }
        }
        end(.success(()))
    }

    private func end(_ result: Result<Void, RemoteError>) {
        let outcome: Result<Void, RemoteError>? = state.withLock { state in
            if case .failure(let error) = result { state.failure = state.failure ?? error }
            state.left -= 1
            if state.left > 0 { return nil }
            return state.failure.map { .failure($0) } ?? .success(())
        }
        if let outcome { completion(outcome) }
    }

    /// Gives it up because its caller was killed.
    /// - Returns: true when the completion will never be called.
    @discardableResult
    public func cancel() -> Bool {
        let tokens = state.withLock { $0.tokens }
        // One that cannot be taken back is never the last while another one is.
        return tokens.reduce(false) { cancelled, wait in wait.tree.cancel(wait.token) || cancelled }
    }
}

extension TransferService {
    /// Completes when every sealed file of every remote is committed; fails with the first error when one was refused.
    public func waitUntilCommitted(
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> JointWait {
        JointWait(trees, completion)
    }
}
