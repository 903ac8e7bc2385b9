public import FXSystem
internal import Synchronization

/// Asks the user whether an origin may work with files here.
public protocol ConsentAsker: Sendable {
    /// Waits for the user, at most until `deadline`. Called on a thread that may wait.
    func ask(_ origin: Origin, days: Int, until deadline: ContinuousDeadline) -> ConsentAnswer
}

public enum ConsentAnswer: Sendable, Equatable {
    case granted, refused, timedOut
    /// There is no desktop and no terminal, or asking is switched off.
    case nobodyToAsk
}

/// Nobody is asked: consent is given beforehand, by `fxmount consent grant`.
public struct NobodyConsents: ConsentAsker {
    public init() {}
    public func ask(_ origin: Origin, days: Int, until deadline: ContinuousDeadline) -> ConsentAnswer { .nobodyToAsk }
}

/// Keeps pages from pestering the user: one question at a time for each origin, and none again soon after a refusal.
///
/// Lock order: `state` is a leaf.
final class ConsentQuestions: Sendable {
    private struct State {
        var pending: Set<Origin> = []
        var refused: [Origin: ContinuousDeadline] = [:]
    }

    /// Somebody who refused wants to be left alone; somebody who refused by mistake can use `fxmount consent grant`.
    private static let rest = Duration.seconds(600)
    /// Questions at the same time; a screen full of them is an attack.
    private static let most = 4

    private let state = Mutex(State())

    /// True when the question may be put now; `ended` has to follow.
    func begin(_ origin: Origin) -> Bool {
        state.withLock { state in
            state.refused = state.refused.filter { !$0.value.hasPassed }
            if state.refused[origin] != nil || state.pending.count >= ConsentQuestions.most { return false }
            return state.pending.insert(origin).inserted
        }
    }

    func ended(_ origin: Origin, _ answer: ConsentAnswer) {
        state.withLock { state in
            state.pending.remove(origin)
            if answer == .refused || answer == .timedOut {
                state.refused[origin] = .after(ConsentQuestions.rest)
            }
        }
    }
}
