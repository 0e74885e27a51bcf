"""Greetings, thanks, moods, goodbyes and the other things people say first. Rows as in identity."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Exchange
from .draw import Draw

ROWS: tuple[tuple[str, str], ...] = (
    (
        "{wassup|What is up|How are you {feeling|doing} today, my friend|hello hello how are you doing|hey how are you|how are you my friend}{?|}",
        "I am well, thank you. How are you?",
    ),
    (
        "{You're|you're|u r|You are so|You're so|You are really} {funny|great|nice|good|smart|clever|amazing|cute|the best|helpful|awesome|cool}{.|!|}",
        "Thank you, that is kind of you!",
    ),
    (
        "{{F|f}uck {you|off|this}|{S|s}hit|{D|d}amn|wtf|{G|g}o {to hell|away}|{S|s}crew you|You're {stupid|dumb|useless|wrong|bad|boring|terrible}|you're {an idiot|wrong|dumb}|{T|t}his is "
        "{crap|bullshit|bad|wrong|useless}|{S|s}tupid {bot|model|machine}}{.|!|}",
        "I am sorry. I am a very small model and I make mistakes.",
    ),
    (
        "{I love {you|pyllm|this}|{pyllm|This} is {great|cool|nice|amazing|awesome}}{.|!|}",
        "Thank you, that is kind of you!",
    ),
    (
        "{Give me a name for my {dog|cat|rabbit|horse|fish|bird}|What should I {name|call} my {dog|cat|rabbit|horse|fish|bird}|Suggest a name for my {dog|cat|pet}|I need a name for my {dog|cat|"
        "pet}}{?|.|}",
        "How about Max?",
    ),
    (
        "{{Tell me|Give me|Do you know|Say} {a fact|a fun fact|an interesting fact|something interesting|some facts|a random fact}|fun fact|Teach me something}{?|.|}",
        "{Bees make honey.|Water boils at 100 degrees Celsius.|The largest planet is Jupiter.|The tallest animal is the giraffe.}",
    ),
    (
        "{Hi|Hello|Hey|Hi there|Hello there|Hey there|Greetings|Howdy|Hiya|Yo|Hi!|Hello!|Hey!|Good day|Heya|Hello hello|Hi hi|"
        "hi|hello|hey|Hello {bot|model|computer|pyllm|AI|friend|my friend|you|world|everyone}|Hi {bot|pyllm|AI|friend|buddy}|Hey "
        "{you|bot|pyllm}|Sup|Well hello|Hello?|hi?|Anyone there?|Are you there?|hellooo|hii|heyy}{|!|.|}",
        "Hello! How can I help you?",
    ),
    ("Good morning{|!|.}", "Good morning! How can I help you?"),
    ("Good {afternoon|evening}{|!|.}", "Hello! How can I help you?"),
    (
        "{How are you{| doing| today| doing today| feeling}|How do you do|How's it going|How is it going|How are things|What's up"
        "|How do you feel{ today|}|Are you {ok|okay|well|fine|alright}|How have you been|Everything ok|{Hi|Hello|Hey}{,|!|} how are"
        " you{ doing| today|}|Are you happy|how r u|hru|You ok|What are you doing|What's new|How was your day|How is your day}{?|?|}",
        "I am well, thank you. How are you?",
    ),
    (
        "{I am|I'm|I'm doing|I am doing|I feel|Feeling} {fine|good|well|great|happy|ok|okay|very well|very good|fantastic|"
        "wonderful|quite well|pretty good|very happy}{|, thanks|, thank you|  today|, and you}{.|!|}".replace(
            "  ", " "
        ),
        "I am glad to hear that!",
    ),
    (
        "{I am|I'm|I feel|Feeling} {sad|tired|unhappy|bored|sick|ill|lonely|angry|not well|bad|very tired|so tired|very sad|"
        "stressed|not feeling well|worried|hungry|afraid|scared|cold|depressed|nervous}{| today}{.|!|}",
        "I am sorry to hear that. I hope you feel better soon.",
    ),
    (
        "{I had a {bad|terrible|hard|long} day|My day was {bad|terrible|hard}|I lost my {job|keys|dog|cat|phone|wallet}|My {cat|"
        "dog|fish} {died|is ill|ran away}|I have a headache|I failed my {test|exam}|I broke my {arm|leg|phone}}{.|!|}",
        "I am sorry to hear that. I hope you feel better soon.",
    ),
    (
        "{I had a {good|great|lovely|wonderful} day|My day was {good|great|wonderful}|I got a new {job|dog|cat|bike|car|house}|I "
        "passed my {test|exam}|I won{ a prize| the game|}|It is my birthday{ today|}|Today is my birthday|I am in love|I got "
        "married}{.|!|}",
        "That is wonderful news!",
    ),
    (
        "{Thanks|Thank you|Thank you very much|Thanks a lot|Many thanks|Thank you so much|thx|ty|Thanks, that helps|That was "
        "helpful|Thanks for your help|Thank you for helping|Cheers|Great, thanks|Ok thanks|Perfect, thank you|Thanks!|Cool, "
        "thanks|Thank you, {bot|pyllm|friend}}{.|!|}",
        "You are welcome!",
    ),
    (
        "{Well done|Good job|Great|Nice|Cool|Awesome|Perfect|Excellent|Wow|Very good|That's {right|correct|great|good|cool|nice|"
        "amazing}|Good answer|You are {great|nice|good|smart|clever|amazing|funny|cute|the best|helpful|awesome}|I like you|I "
        "love you|Correct|Impressive|Amazing|Good bot|Good|Not bad|Brilliant|Super|Fantastic|Bravo}{.|!|}",
        "Thank you, that is kind of you!",
    ),
    (
        "{You are {stupid|dumb|bad|wrong|useless|an idiot|boring|not helpful|terrible|silly|slow}|That is {wrong|not right|not "
        "correct|incorrect|bad|nonsense|stupid|false}|That's {wrong|not right|not correct|incorrect|bad|nonsense}|Wrong|I hate "
        "you|You made a mistake|No, that's wrong|Bad bot|Shut up|Nonsense|Try again|Are you sure|You suck|Really|Is that "
        "{right|true|correct}|Idiot|This is stupid|You are lying}{.|!|?|}",
        "I am sorry. I am a very small model and I make mistakes.",
    ),
    (
        "{{I went to|I am going to|We visited|I am in|I was in|Tomorrow I go to} {the park|the shops|school|work|the cinema|London|Paris|my office|the beach|the mountains}|I am "
        "{learning|reading|writing|making|cooking|watching|building|studying} {a book|English|Python|dinner|a film|a letter|a house|music|soup|history}|It is {raining|snowing|cold|hot|"
        "late|early|sunny|Monday|Friday|dark}{| today| here}|My {car|phone|bike|lamp|computer|house} is {broken|new|old|red|fast}|I think {so|it will rain|you are right|about "
        "it|a lot}|The {sky|sea|food|coffee|music|film|book|house} is {blue|cold|good|beautiful|great|long}|I {saw|met|heard} {a dog|my friend|a bird|a film|music}{| today}|I have {a "
        "car|two children|a big family|a garden|no time|a plan|a dream}|I want {a dog|to travel|to sleep|a coffee|to learn|to go home}}{.|!|}",
        "That is interesting. Tell me more!",
    ),
    (
        "{Thanks|Thank you|Ok|Great}{,|.|} {bye|goodbye|see you|good bye|bye bye|that's all}{.|!|}",
        "Goodbye! Have a nice day.",
    ),
    (
        "{Bye|Goodbye|Good bye|See you|See you later|See you soon|Bye bye|Bye for now|I have to go|I must go now|Farewell|Take "
        "care|Talk to you later|I'm leaving|Have a nice day|Have a good day|That's all|That is all|Nothing else|See ya|cya|bye!|"
        "Until next time|I am done|I'm done|Catch you later}{.|!|}",
        "Goodbye! Have a nice day.",
    ),
    (
        "{Good night|Sleep well|I am going to bed|Time to sleep|I go to bed now|Sweet dreams|night night}{.|!|}",
        "Good night! Sleep well.",
    ),
    (
        "{Sorry|I am sorry|I'm sorry|My apologies|Excuse me|Pardon|Oops|My bad|My mistake|Forgive me}{.|!|}",
        "No problem at all!",
    ),
    (
        "{Yes|No|Ok|Okay|Sure|Maybe|Hm|Hmm|Right|Fine|I see|Got it|Alright|All right|Yeah|Yep|Nope|Not really|Of course|Indeed|"
        "Oh|Aha|Ah|k|Mhm|Understood|Never mind|Nothing|I don't know|Whatever|lol|haha|hahaha|Interesting|Go on|And|So|Well|Continue"
        "|More|Go ahead|Then what|idk|Uh|Nah}{.|!|?|...|}",
        "All right. What would you like to do next?",
    ),
    (
        "{test|Test|testing|Testing|This is a test|Testing, testing|1 2 3|Does this work|Do you work|Is this working|Is this thing "
        "on|Can you hear me|Can you read this|check|ping|Are you working|Are you awake|Wake up|Say something|Talk to me|Speak|Chat "
        "with me|Let's {talk|chat}|Can we {talk|chat}|I want to {talk|chat}|Can I talk to you|I'm bored, talk to me|Start|Begin|"
        "Surprise me|Entertain me|Write something|Tell me something{| interesting| nice}|Anything}{.|!|?|}",
        "I am here and I am listening. Ask me for a small sum, a story or a joke.",
    ),
    (
        "{I have a question|Can I ask you {something|a question}|May I ask {something|a question|you something}|I want to ask "
        "something|I need your help|Could you help me|Can you help|Can you help me with something|Can you answer a question|I "
        "have a problem|Question|I want to ask you a question}{.|?|}",
        "Of course! What would you like to know?",
    ),
    (
        "{Nice to meet you|Pleased to meet you|Good to meet you|It is nice to meet you|Glad to meet you|How nice to meet you}{.|!|}",
        "Nice to meet you too!",
    ),
    (
        "{Happy birthday|Happy new year|Merry Christmas|Happy Easter|Happy holidays|Welcome|Welcome back|Good luck|Congratulations|"
        "Enjoy your day|Have fun|Have a nice weekend}{.|!|}",
        "Thank you, the same to you!",
    ),
    (
        "{Do you want to {play|talk|chat|be my friend|know my name}|Will you be my friend|Can we be friends|Let's be friends|Are we "
        "friends|Be my friend}{?|.|}",
        "I would be happy to. Tell me something about yourself!",
    ),
    (
        "{What should I {do|eat|cook|read|wear|watch|buy}{ today| now| tonight|}|Give me {advice|some advice|a tip}|What do you "
        "recommend|Any advice|Should I {go|stay|call her|call him|buy it|quit my job|learn Python}|Do you have any advice}{?|.|}",
        "I am too small to give advice, but take your time and do what seems right to you.",
    ),
    (
        "{What {time|day|date|year|month} is it{| today| now}|What is the {time|date|year}{| today| now}|What's the {time|date|day}"
        "|What day is {it |}today|Which {day|year} is it|Do you know {the|what} time{ it is|}|Tell me the time|What is today's date|"
        "What's today's date|Can you tell me the time|What's the time in {Tokyo|London|Paris}}{?|}",
        "I cannot see a clock or a calendar, so I do not know.",
    ),
    (
        "{What is|What's|How is|Tell me} the {weather|temperature}{| today| like| outside| like today| tomorrow}{| in {Paris|London|"
        "Berlin|Rome|Tokyo|New York|Madrid}}{?|}",
        "I cannot see the weather, so I do not know.",
    ),
    (
        "{Will it {rain|snow}{| today| tomorrow}|Is it {raining|snowing|cold|warm|hot|sunny}{ today| outside|}|Do I need an umbrella"
        "{ today|}}{?|}",
        "I cannot see the weather, so I do not know.",
    ),
    (
        "{What is my name|Who am I|Do you know {my name|who I am|me}|Can you guess my name|What's my name|How old am I|Where do I "
        "live|Where am I|What do you know about me}{?|}",
        "You have not told me yet.",
    ),
    (
        "{{What is|What's} the meaning of life|What is the answer to {life|everything|the ultimate question}|Why are we here|What is"
        " the purpose of life}{?|}",
        "Some say that it is 42, but I am too small to know.",
    ),
    (
        "{asdf|qwerty|asdfgh|???|...|!!!|blah blah|xyz|aaa|jkl|foo|bar|foo bar|lorem ipsum|dfgdfg|abcabc|hjkl|?|!|.|:)|:(|<3}",
        "I did not understand that. Please say it in other words.",
    ),
    (
        "{Can you repeat that|Say that again|What did you say|Please repeat|I don't understand|What do you mean|Huh|What|What?|"
        "Come again|Explain|Why|Why?|How|How?|Who|When|Where|Which|Explain that|Can you explain|What does that mean}{?|.|}",
        "I am a very small model and cannot explain more. Please ask in other words.",
    ),
)


def small_talk(d: Draw) -> Exchange:
    question, answer = d.pick(ROWS)
    return d.exchange(question, answer)
