internal import FXSystem
internal import Synchronization

/// A user who answers as a script says, for tests of whatever asks.
public final class ScriptedChooser: DirectoryChooser {
    /// What the user does about one question.
    public enum Answer: Sendable, Hashable {
        case accept(String)
        /// Agrees to what is preselected.
        case acceptPreselected
        case cancel
        /// Goes away; the question waits for its timeout.
        case stayAway
    }

    private struct State {
        var answers: [Answer]
        var questions: [DirectoryQuestion] = []
    }

    private let state: Monitor<State>

    /// - Parameter answers: in the order of the questions; when there are none left, nobody is there to ask.
    public init(_ answers: [Answer] = []) { state = Monitor(State(answers: answers)) }

    /// Adds an answer at the end.
    public func willAnswer(_ answer: Answer) { state.withLock { $0.answers.append(answer) } }

    /// What was asked, in order.
    public var questions: [DirectoryQuestion] { state.withLock { $0.questions } }

    public func choose(_ question: DirectoryQuestion) throws(PromptFailure) -> String {
        let answer: Answer? = state.withLock { state in
            state.questions.append(question)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        switch answer {
        case nil: throw .nobodyToAsk
        case .accept(let path): return path
        case .acceptPreselected: return question.preselected
        case .cancel: throw .cancelled
        case .stayAway:
            // A question without a timeout would never end: a script has no use for that.
            let deadline = ContinuousDeadline.after(question.timeout ?? .zero)
            _ = state.wait(until: deadline) { _ -> Void? in nil }
            throw .timedOut
        }
    }
}
