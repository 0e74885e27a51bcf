"""`pyllm serve`: one port that speaks OpenAI's, Ollama's, Anthropic's and llama-server's HTTP.

A request's way: edge/ (limits, hosts, keys) → a dialect's route (openai/, ollama/, …) → chat_run
or text_run → AsyncLLM → events → the dialect's chunks → streams → the client.
"""
